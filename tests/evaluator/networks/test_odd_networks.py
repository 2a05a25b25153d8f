"""Networks in other numbers than float32, with more inputs, quantised, or without a gradient."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evaluator.errors import NoGradient, UsageError
from evaluator.measuring.machine import checked
from evaluator.networks.building import refuse_without_layers
from evaluator.networks.network import Network
from evaluator.plan import RunPlan
from tests.evaluator.networks.families.support import loaded, spec_of
from tests.networks import GapNetwork, random_images

NETS = """
import torch
from torch import nn

from tests.networks import GapNetwork

FACTS = {"side": 32}


class Casts(GapNetwork):
    def forward(self, x):
        return super().forward(x.to(self.fc.weight.dtype))


class Halves(GapNetwork):
    def forward(self, x):
        return super().forward(x.half())


class TwoInputs(GapNetwork):
    def forward(self, x, age):
        return super().forward(x) + age


class Keyword(GapNetwork):
    def forward(self, x, *, age):
        return super().forward(x) + age


class OptionalAge(GapNetwork):
    def forward(self, x, age=None):
        return super().forward(x)


class Detached(GapNetwork):
    def forward(self, x):
        return super().forward(x).detach()


class Saturated(GapNetwork):
    def forward(self, x):
        return super().forward(x).clamp(9, 9)


class NoNumber(GapNetwork):
    def forward(self, x):
        logits = super().forward(x)
        return logits + torch.tensor([0.0] * 9 + [float("nan")])


class Masked(NoNumber):
    def forward(self, x):
        return GapNetwork.forward(self, x) + torch.tensor([0.0] * 9 + [-float("inf")])


def made(kind, dtype=torch.float32):
    torch.manual_seed(0)
    return kind().to(dtype), FACTS


def float16(): return made(GapNetwork, torch.float16)
def bfloat16(): return made(Casts, torch.bfloat16)
def float64(): return made(GapNetwork, torch.float64)
def halves(): return made(Halves, torch.float16)
def twoinputs(): return made(TwoInputs)
def keyword(): return made(Keyword)
def optionalage(): return made(OptionalAge)
def detached(): return made(Detached)
def saturated(): return made(Saturated)
def nonumber(): return made(NoNumber)
def masked(): return made(Masked)


def float16_and_32():
    model, facts = made(GapNetwork, torch.float16)
    model.features[1].float()
    return model, facts


def beyond():
    model, facts = made(GapNetwork, torch.float64)
    model.fc.weight.data += 1e-12
    return model, facts
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("odd") / "odd.py"
    file.write_text(NETS)
    return file


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64", "float16_and_32"])
def test_other_floats_are_computed_in_float32_where_that_is_exact(file: Path, name: str) -> None:
    backbone = loaded(f"{file}:{name}")
    kind = name.partition("_")[0]
    assert backbone.facts.remarks == (f"its weights are {kind}; it is computed in float32",)
    torch.manual_seed(0)
    images, rounded = random_images(2), GapNetwork().eval()
    if name != "float64":
        rounded = rounded.to(getattr(torch, kind)).float()
    with torch.no_grad():
        assert torch.allclose(backbone.answer(images).logits, rounded(images), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("beyond", r"float32, which does not hold its fc\.weight exactly: it is float64"),
        ("halves", r"\(its weights are float16; it is computed in float32\)"),
        ("twoinputs", r"takes 2 inputs \(x, age\), and a classifier is given images alone"),
        ("keyword", r"takes 2 inputs \(x, age\)"),
    ],
)
def test_what_cannot_be_run_is_refused_for_its_true_reason(
    file: Path, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        loaded(f"{file}:{name}")


def test_an_input_that_may_be_left_out_is(file: Path) -> None:
    assert loaded(f"{file}:optionalage").gap_linear


def made(kind: str) -> Any:
    """Of torch's that are on their way out, with a warning each."""
    quantise, model = torch.ao.quantization, GapNetwork().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "script":
            return torch.jit.trace(model, random_images(2))  # type: ignore[no-untyped-call]
        if kind == "lazy":
            return nn.Sequential(nn.LazyConv2d(8, 3))
        if kind == "dynamic":
            return quantise.quantize_dynamic(model, {nn.Linear})  # type: ignore[no-untyped-call]
        model.features.qconfig = quantise.default_qconfig  # type: ignore[assignment]
        quantise.prepare(model, inplace=True)  # type: ignore[no-untyped-call]
        model(random_images(2))
        return quantise.convert(model)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("dynamic", r"quantised: layer 'fc' \(Linear\) holds whole numbers"),
        ("static", r"quantised: layer 'features\.0' \(Conv2d\)"),
        ("script", "is TorchScript, whose layers cannot"),
        ("lazy", r"not whole: layer '0' \(LazyConv2d\)"),
    ],
)
def test_networks_without_layers_to_look_into_are_refused(kind: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        refuse_without_layers(made(kind))


@pytest.mark.parametrize(("name", "gradient"), [("detached", False), ("saturated", True)])
def test_a_gradient_that_reaches_no_layer_is_told(file: Path, name: str, gradient: bool) -> None:
    backbone = loaded(f"{file}:{name}")
    told = f"no gradient reaches layer {backbone.facts.layer}"
    assert any(remark.startswith(told) for remark in backbone.facts.remarks) != gradient
    runs = Network(backbone, device=torch.device("cpu"), precision="fp32")
    seen, targets = runs.observe(2, lambda start, stop: random_images(2)), torch.tensor([1, 2])
    if gradient:
        assert not runs.gradient(seen, targets).any()
        return
    for ask in (
        lambda: runs.gradient(seen, targets),
        lambda: runs.gradient_of(seen, seen.logits.softmax(1)),
        lambda: runs.hessian_product(seen, targets, seen.activation),
    ):
        with pytest.raises(NoGradient, match=told):
            ask()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("name", "passes"), [("nonumber", False), ("masked", True)])
def test_answers_that_are_no_numbers_fail_the_check(file: Path, name: str, passes: bool) -> None:
    backbone = loaded(f"{file}:{name}")
    assert passes or backbone.facts.remarks == ("its logits of a picture are no numbers (NaN)",)
    plan = RunPlan("/data", (spec_of(f"{file}:{name}"),), ("gradcam",))
    if passes:
        assert checked(plan, torch.device("cpu"), None)["class_count"] == 10
        return
    with pytest.raises(UsageError, match="answer to a picture is no number"):
        checked(plan, torch.device("cpu"), None)
