"""Classes of captum, pytorch-grad-cam and torchcam as methods; skipped where they are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from evaluator.backbones import BackboneSpec
from evaluator.catalog import key_of, method, register, scoped_registry
from evaluator.errors import UsageError
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.methods.adapters import LIBRARIES, PeerMethod, adapted
from evaluator.methods.base import ImageMethod
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.network import Network
from evaluator.references import as_spec
from evaluator.user_code import allow, sources_of
from evaluator.user_code_checks import described, import_method
from evaluator.user_code_facts import Code

ADAPTERS = (
    "evaluator.methods.adapters.captum",
    "evaluator.methods.adapters.pytorch_grad_cam",
    "evaluator.methods.adapters.torchcam",
)

for library in LIBRARIES:
    pytest.importorskip(library)

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

BACKBONE = "synthetic_cnn"
KEYS = [b"0\0a", b"0\0b", b"0\0c"]


@cache
def network() -> Network:
    cpu = torch.device("cpu")
    return Network(
        load_backbone(BackboneSpec(BACKBONE), 224, device=cpu), device=cpu, precision="fp32"
    )


def images() -> torch.Tensor:
    torch.manual_seed(3)
    return torch.rand(len(KEYS), *network().input_shape)


def spec_of(text: str) -> str:
    """Import a class as a run does; the spec that it has there."""
    given = as_spec(text)
    assert given is not None
    allow({given.reference.text: sources_of(given.reference).sha256})
    kind = import_method(given.reference)
    return f"{kind.key}:{given.tail}" if given.tail else kind.key


def rows(spec: str, places: slice = slice(None)) -> Scores:
    asked = method(spec)
    return Pipeline(network()).rows(Batch(images()[places], KEYS[places]), [asked])[asked.name]


def maps(found: Scores, spec: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    stored = [np.frombuffer(one or b"", method(spec).map_type) for one in found.maps]
    return np.stack(stored).astype(np.float64)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("torchcam.methods:GradCAM", "gradcam"),
        ("torchcam.methods:LayerCAM", "layercam"),
        ("captum.attr:InputXGradient", "inputxgradient"),
        ("captum.attr:IntegratedGradients:n_steps=7", "ig:n=7"),
    ],
)
def test_a_class_of_theirs_has_the_maps_of_ours(theirs: str, ours: str) -> None:
    with scoped_registry():
        spec = spec_of(theirs)
        found, expected = rows(spec), rows(ours)
        assert np.abs(maps(found, spec) - maps(expected, ours)).max() < 2e-3
        assert found.coherency == pytest.approx(expected.coherency, abs=2e-3)
        assert found.o == pytest.approx(expected.o, abs=2e-3)


def test_pytorch_grad_cam_s_map_is_ours_at_the_size_of_the_image() -> None:
    with scoped_registry():
        found, expected = rows(spec_of("pytorch_grad_cam:GradCAM")), rows("gradcam")
        assert found.complexity == pytest.approx(expected.complexity, abs=2e-2)
        assert found.o == pytest.approx(expected.o, abs=2e-2)


@pytest.mark.parametrize(
    "theirs", ["captum.attr:GradientShap", "captum.attr:KernelShap:n_samples=5"]
)
def test_alone_and_beside_others_an_image_has_one_map_also_where_it_is_drawn(theirs: str) -> None:
    with scoped_registry():
        spec = spec_of(theirs)
        whole = rows(spec)
        torch.manual_seed(99)
        alone = rows(spec, slice(1, 2))
        assert alone.maps[0] == whole.maps[1]
        assert alone.coherency[0] == pytest.approx(whole.coherency[1], abs=1e-6)


@pytest.mark.parametrize(
    "theirs",
    [
        "captum.attr:DeepLift",
        "captum.attr:LayerConductance:n_steps=3",
        "captum.attr:LayerIntegratedGradients:n_steps=3",
        "captum.attr:LayerGradientShap:n_samples=2",
        "captum.attr:Lime:n_samples=3",
        "pytorch_grad_cam:GradCAM:aug_smooth=true",
        "pytorch_grad_cam:AblationCAM",
        "torchcam.methods:GradCAM",
        "torchcam.methods:ScoreCAM",
        "torchcam.methods:SmoothGradCAMpp:num_samples=2",
    ],
)
def test_passes_are_as_many_as_declared_and_a_backward_counts_as_two(theirs: str) -> None:
    with scoped_registry():
        spec = spec_of(theirs)
        asked, channels = method(spec), network().backbone.facts.channels
        rows(spec)
        before = network().forwards
        rows(spec)
        assert not asked.estimated
        made = network().forwards - before
        assert made == len(KEYS) * (1 + asked.forwards(channels, False))


def test_a_cost_that_is_a_guess_says_so() -> None:
    with scoped_registry():
        assert method(spec_of("captum.attr:NoiseTunnel")).estimated


@pytest.mark.parametrize(
    ("text", "name", "given"),
    [
        ("captum.attr:IntegratedGradients:n_steps=20", "n_steps=20", {"n_steps": 20}),
        ("captum.attr:Occlusion:strides=3x9x9", "strides=3x9x9", {"strides": (3, 9, 9)}),
        ("captum.attr:IntegratedGradients:method=riemann", "method=riemann", {"method": "riemann"}),
        ("pytorch_grad_cam:GradCAM:aug_smooth=true", "aug_smooth=True", {"aug_smooth": True}),
        ("torchcam.methods:SSCAM:num_samples=3", "num_samples=3", {"num_samples": 3}),
    ],
)
def test_options_are_their_keywords(text: str, name: str, given: dict[str, Any]) -> None:
    with scoped_registry():
        asked = method(spec_of(text))
        assert isinstance(asked, PeerMethod)
        assert asked.name == f"{asked.key}:{name}"
        assert asked.given(asked.called | asked.constructed) == given
        assert key_of(asked.name) == asked.key


def test_an_option_that_they_do_not_have_is_refused() -> None:
    with scoped_registry(), pytest.raises(UsageError, match="no option 'steps'"):
        method(spec_of("captum.attr:IntegratedGradients:steps=3"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("captum.attr:NeuronGradient", "explains no image"),
        ("captum.attr:Max", "explains no image"),
        ("pytorch_grad_cam:AblationLayer", "makes no map"),
        ("torchcam.methods:core", "not a method"),
    ],
)
def test_what_explains_no_image_is_refused(text: str, told: str) -> None:
    with scoped_registry(), pytest.raises(UsageError, match=told):
        spec_of(text)


def test_a_run_names_and_costs_it_by_its_description() -> None:
    given = as_spec("captum.attr:IntegratedGradients")
    assert given is not None
    text, sha256 = given.reference.text, sources_of(given.reference).sha256
    allow({text: sha256})
    with scoped_registry():
        code = described(Code("method", text, text, sha256), ["n_steps=20"])
    assert code.key == "captum:IntegratedGradients"
    stored = Code.from_dict(json.loads(json.dumps(vars(code))))
    with scoped_registry():
        register(stored)
        asked = method("captum:IntegratedGradients:n_steps=20")
        assert isinstance(asked, ImageMethod)
        assert not isinstance(asked, PeerMethod)
        assert asked.forwards(64, False) == 1 + 2 * 60


def test_other_classes_stay_what_they_are() -> None:
    assert adapted("mine.cams", int) is int
    assert adapted("captum.attr", len) is len


def test_no_library_is_imported_before_it_is_named() -> None:
    code = (
        "import sys, evaluator.catalog as c; c.known_methods();"
        f"print([one for one in {[*LIBRARIES, *ADAPTERS]} if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
