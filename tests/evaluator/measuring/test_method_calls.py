"""A fault of one method costs its own rows, with the line of its file; the others' are bit for
bit as without it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.errors import UsageError
from evaluator.measuring.method_calls import Fault, MethodFault, call_metric, metric_fault
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.methods import all_methods
from evaluator.methods.base import FixedMap, Method, View
from evaluator.networks.global_state import ForeignCode
from evaluator.plan import applicable
from tests.agreement import IMAGES, keys_of, small_bench
from tests.networks import random_images

OTHERS = ("gradcam", "layercam", "scorecam", "fakecam")


class Own(Method):
    key = "own"
    title = "Own"
    paper = "nobody"
    weighs_by = "nothing"

    def combine(self, view: View) -> Tensor:
        return view.activation.mean(1)


class Raises(Own):
    key = "raises"

    def combine(self, view: View) -> Tensor:
        raise ValueError("not today\n" + "x" * 500)


class RaisesOnOne(Own):
    key = "raises_on_one"
    images: ClassVar[set[int]] = set()

    def combine(self, view: View) -> Tensor:
        for place in range(len(view.logits)):
            if round(float(view.logits[place].double().sum()) * 1e6) in self.images:
                raise ValueError("not this one")
        return view.activation.mean(1)


class WrongShape(Own):
    key = "wrong_shape"

    def combine(self, view: View) -> Tensor:
        return view.activation


class NoTensor(Own):
    key = "no_tensor"

    def combine(self, view: View) -> Any:
        return None


class Overwrites(Own):
    key = "overwrites"

    def combine(self, view: View) -> Tensor:
        view.logits.zero_()
        view.targets.zero_()
        view.gradient.mul_(2)
        return view.activation.relu_().mul_(-1).mean(1)


@dataclass(frozen=True)
class NotANumber(Own):
    key = "not_a_number"
    value: float = float("nan")

    def combine(self, view: View) -> Tensor:
        combination = view.activation.mean(1)
        combination[1, 2, 3] = self.value
        return combination


class Hangs(Own):
    key = "hangs"
    begun: ClassVar[int] = 0

    def combine(self, view: View) -> Tensor:
        type(self).begun += 1
        while True:
            with suppress(Exception):
                time.sleep(0.01)


class SlowButForward(Own):
    key = "slow"

    def combine(self, view: View) -> Tensor:
        for step in range(5):
            time.sleep(0.4)
            view.perturbed("slow", step, 0.1)
        return view.activation.mean(1)


class Sets(Own):
    """Leaves torch in another state, when its map is made or when it is asked about it."""

    key = "sets"
    change: ClassVar[Callable[[], object]]

    def combine(self, view: View) -> Tensor:
        type(self).change()
        return view.gradient.mean(1) * view.normalised_activation.mean(1)


class SetsFirst(Own):
    key = "sets_first"

    def map_identity(self, gap_linear: bool) -> str:
        torch.set_default_dtype(torch.float64)
        return self.name


class SetsForItself(Own):
    """Everything that others read too is asked for in settings of its own."""

    key = "for_itself"

    def combine(self, view: View) -> Tensor:
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            view.perturbed("mine", 0, 0.1)
            _ = (view.gradient, view.normalised_activation, view.live_channels)
            _ = (view.baseline_confidence(), view.noise("mine", 1).mul_(2))
        return view.activation.mean(1)


class Draws(Own):
    key = "draws"

    def combine(self, view: View) -> Tensor:
        return view.activation.mean(1) * torch.rand(1) + float(np.random.rand()) * random.random()


class WrongOnTheMaskedImage(Own):
    key = "second"
    calls: ClassVar[list[int]] = []

    def combine(self, view: View) -> Tensor:
        self.calls.append(1)
        return view.activation.mean(1) if len(self.calls) % 2 else view.activation.mean((1, 2))


class BadFixedMap(FixedMap):
    key = "bad_fixed"
    title = "Bad"
    paper = "nobody"
    weighs_by = "nothing"

    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        return [[0.5] * width]


def outcomes(
    *methods: Method, method_timeout: float = 0.0, network: str = "gap"
) -> dict[str, Scores | Fault]:
    made = small_bench(network).network
    return Pipeline(made, method_timeout=method_timeout).outcomes(
        batch(), [*map(method, OTHERS[:2]), *methods, *map(method, OTHERS[2:])]
    )


def batch() -> Batch:
    return Batch(random_images(IMAGES, seed=1), keys_of(IMAGES))


def fault(found: dict[str, Scores | Fault], key: str) -> Fault:
    one = found[key]
    assert isinstance(one, Fault)
    return one


@pytest.mark.parametrize(
    ("bad", "reason", "words"),
    [
        (
            Raises(),
            "method-raised",
            f"test_method_calls.py:{Raises.combine.__code__.co_firstlineno + 1}: "
            "ValueError: not today",
        ),
        (
            WrongShape(),
            "wrong-shape",
            "WrongShape.combine returned a tensor [4, 12, 8, 8], not [4, 8, 8]",
        ),
        (NoTensor(), "wrong-shape", "NoTensor.combine returned NoneType, not a tensor [4, 8, 8]"),
        (
            Overwrites(),
            "overwrites",
            "Overwrites.combine overwrites the view's activation and logits and targets and "
            "gradient",
        ),
        (WrongOnTheMaskedImage(), "wrong-shape", "returned a tensor [4, 8], not [4, 8, 8]"),
        (
            BadFixedMap(),
            "wrong-shape",
            "BadFixedMap.fixed_map returned a tensor [1, 1, 32], not [1, 32, 32]",
        ),
    ],
)
def test_the_others_have_their_rows(bad: Method, reason: str, words: str) -> None:
    found = outcomes(bad, Own())
    told = fault(found, bad.key)
    assert told.reason == reason
    assert words in told.detail
    assert "test_method_calls.py:" in told.detail
    assert "\n" not in told.detail
    assert len(told.detail) < 400
    plain = outcomes(Own())
    assert {name: found[name] for name in (*OTHERS, "own")} == plain


STATES: dict[str, tuple[Callable[[], object], str]] = {
    "dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        "Sets.combine changes torch's default dtype from float32 to float64",
    ),
    "autocast": (
        torch.autocast("cpu", torch.bfloat16).__enter__,
        "Sets.combine changes torch's autocast",
    ),
    "grad mode": (lambda: torch.set_grad_enabled(False), "grad mode from True to False"),
    "matmul precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        "float32 matmul precision from highest to medium",
    ),
    "threads": (lambda: torch.set_num_threads(7), "torch's number of threads from"),
    "oneDNN": (lambda: setattr(torch.backends.mkldnn, "enabled", False), "oneDNN (enabled)"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_state_of_torch_that_a_method_leaves_reaches_no_other(network: str, state: str) -> None:
    Sets.change, words = STATES[state]
    plain = outcomes(Own(), network=network)
    found = outcomes(Sets(), Own(), network=network)
    told = fault(found, "sets")
    assert told.reason == "global-state"
    assert words in told.detail
    assert told.detail.startswith("test_method_calls.py:")
    assert {name: found[name] for name in (*OTHERS, "own")} == plain
    assert outcomes(Own(), network=network) == plain
    assert torch.is_grad_enabled()


def test_state_that_another_hook_of_a_method_leaves_is_its_fault_too() -> None:
    found = outcomes(SetsFirst(), Own())
    assert fault(found, "sets_first").reason == "global-state"
    assert {name: found[name] for name in (*OTHERS, "own")} == outcomes(Own())


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_what_a_method_asks_for_in_its_own_settings_is_as_the_others_need_it(network: str) -> None:
    plain = outcomes(Own(), Overwrites(), network=network)
    found = outcomes(SetsForItself(), Own(), Overwrites(), network=network)
    assert isinstance(found["for_itself"], Scores)
    assert {name: found[name] for name in plain} == plain


def test_what_a_method_draws_does_not_depend_on_who_drew_before() -> None:
    random.seed(5)
    alone = outcomes(Draws())["draws"]
    assert outcomes(SetsForItself(), Own(), Draws())["draws"] == alone


def test_no_method_of_camtuis_own_changes_anything() -> None:
    """They are called without the comparison."""
    for network in ("gap", "vgg-like"):
        made = small_bench(network).network  # which is what sets torch's state
        keys = [
            key
            for key in all_methods()
            if applicable(method(key), gap_linear=made.backbone.gap_linear, attention=False)
        ]
        many = ("ig", "smoothgrad", "gradientshap", "rise")
        specs = [f"{key}:n=2" if key in many else key for key in keys]
        with ForeignCode() as code:
            Pipeline(made).rows(batch(), [method(spec) for spec in specs])
        assert len(keys) > 15
        assert code.changed == ""


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_map_that_is_no_number_is_the_methods(value: float) -> None:
    bad = NotANumber(value)
    scores = outcomes(bad)[bad.name]
    assert isinstance(scores, Scores)
    assert [scores.problem(place) for place in range(IMAGES)] == [
        "",
        "the method's map is not a number",
        "",
        "",
    ]


def test_a_method_that_hangs_is_interrupted_in_its_line_and_twice_at_most() -> None:
    network = small_bench("gap").network
    pipeline = Pipeline(network, method_timeout=1.0)
    Hangs.begun = 0
    for turn in range(4):
        found = pipeline.outcomes(batch(), [method("gradcam"), Hangs()])
        assert isinstance(found["gradcam"], Scores)
        told = fault(found, "hangs")
        assert told.reason == "hangs"
        assert "test_method_calls.py:" in told.detail
        assert ("no end and no forward pass in 1 s" in told.detail) == (turn < 2)
    assert Hangs.begun == 2, "later it is not called"


def test_a_method_that_makes_forwards_does_not_hang() -> None:
    assert isinstance(outcomes(SlowButForward(), method_timeout=1.6)["slow"], Scores)


def test_errors_that_are_nobodys_fault_are_raised() -> None:
    class NoMemory(Own):
        key = "no_memory"

        def combine(self, view: View) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    class Lost(Own):
        key = "lost"

        def combine(self, view: View) -> Tensor:
            raise RuntimeError("CUDA error: device-side assert triggered")

    class Deliberate(Own):
        key = "deliberate"

        def combine(self, view: View) -> Tensor:
            raise UsageError("no", "")

    kinds: Sequence[tuple[Method, type[Exception]]] = (
        (NoMemory(), torch.OutOfMemoryError),
        (Lost(), RuntimeError),
        (Deliberate(), UsageError),
    )
    for one, kind in kinds:
        with pytest.raises(kind):
            outcomes(one)


def test_rows_raise_what_outcomes_tell() -> None:
    with pytest.raises(MethodFault, match="not today"):
        Pipeline(small_bench("gap").network).rows(batch(), [Raises()])


def test_a_function_of_a_metric_keeps_state_and_what_it_is_given() -> None:
    given = torch.ones(3)

    def frame(images: Tensor) -> Tensor:
        return images.mul_(2)

    def careless(images: Tensor) -> Tensor:
        torch.set_grad_enabled(False)
        return images

    assert torch.equal(call_metric("own", frame, given), torch.full((3,), 2.0))
    assert torch.equal(given, torch.ones(3))
    with pytest.raises(MethodFault) as caught:
        call_metric("own", careless, given)
    fault = metric_fault("own", caught.value)
    assert fault.reason == "global-state"
    assert "careless changes torch's grad mode from True to False" in fault.detail
    assert torch.is_grad_enabled()
