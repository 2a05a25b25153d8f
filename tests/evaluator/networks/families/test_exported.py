"""Programs of ``torch.export``: the same network as its code, cut at layers by name; what is
refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evaluator import user_code
from evaluator.errors import BackboneUnavailable, CodeNotAllowed, UsageError
from evaluator.networks.backbone_loading import load_backbone
from evaluator.references import Reference
from evaluator.user_code import Sources, sources_of
from tests.evaluator.networks.families.support import loaded, spec_of
from tests.networks import as_backbone, gap_network, random_images

BATCH = torch.export.Dim("batch")


def exported(file: Path, model: nn.Module, images: Any, dynamic: bool = True) -> Path:
    shapes = ({0: BATCH},) if dynamic else None
    torch.export.save(torch.export.export(model, (images,), dynamic_shapes=shapes), file)
    return file


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(
        tmp_path_factory.mktemp("programs") / "net.pt2", gap_network(), random_images(2)
    )


@pytest.mark.parametrize("layer", ["features", "features.3", "features.1"])
def test_it_answers_as_its_code_does(program: Path, layer: str) -> None:
    backbone, expected = loaded(f"{program}:layer={layer}"), as_backbone(gap_network(), layer)
    images, targets = random_images(3), torch.tensor([1, 2, 3])
    seen, other = (
        backbone.trunk_output(backbone.trunk(images)),
        expected.trunk_output(expected.trunk(images)),
    )
    assert torch.allclose(seen.activation, other.activation, atol=1e-5)
    assert torch.allclose(
        backbone.logits(seen.activation, seen.context), gap_network()(images), atol=1e-5
    )
    gradient = expected.gradient(other.activation, targets, other.context).expand_as(
        other.activation
    )
    assert torch.allclose(
        backbone.gradient(seen.activation, targets, seen.context), gradient, atol=1e-5
    )
    facts = backbone.facts
    assert (facts.weights, facts.preprocessing.side, facts.class_count) == ("in net.pt2", 32, 10)
    assert spec_of(str(program)).name == "net.pt2"


def test_without_a_layer_the_last_map_counts(program: Path) -> None:
    assert (loaded(str(program)).facts.height, loaded(str(program)).facts.channels) == (8, 12)


def test_it_is_loaded_only_where_it_was_allowed(tmp_path: Path) -> None:
    """Such a file can run code when it is loaded."""
    with pytest.raises(CodeNotAllowed, match=r"mine\.pt2"):
        load_backbone(
            spec_of(str(exported(tmp_path / "mine.pt2", gap_network(), random_images(2))))
        )


def test_what_is_loaded_is_what_was_hashed(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes the moment after it was read."""
    file = tmp_path / "changing.pt2"
    file.write_bytes(program.read_bytes())

    def replaced(reference: Reference) -> Sources:
        found = sources_of(reference)
        file.write_text("no program")
        return found

    monkeypatch.setattr(user_code, "sources_of", replaced)
    assert loaded(str(file)).facts.channels == 12


def test_what_is_refused(program: Path, tmp_path: Path) -> None:
    fixed = exported(tmp_path / "fixed.pt2", gap_network(), random_images(1), dynamic=False)
    with pytest.raises(UsageError, match="exported for a batch of 1, and batches vary") as caught:
        loaded(str(fixed))
    assert "dynamic_shapes" in caught.value.hint
    flat = exported(tmp_path / "flat.pt2", nn.Linear(4, 2), torch.randn(2, 4))
    with pytest.raises(UsageError, match="images of batch × channels × side × side were expected"):
        loaded(str(flat))
    (tmp_path / "text.pt2").write_text("no program")
    with pytest.raises(BackboneUnavailable, match=r"text.pt2 is no program of torch.export"):
        loaded(f"{tmp_path}/text.pt2")
    with pytest.raises(UsageError, match=r"net.pt2 brings its own weights"):
        loaded(f"{program}:weights=random:0")
    with pytest.raises(UsageError, match="no layer 'nothing'"):
        loaded(f"{program}:layer=nothing")
    with pytest.raises(UsageError, match="no such file"):
        spec_of(f"{tmp_path}/nothing.pt2")
