"""``camtui check`` finds what commonly goes wrong, each by its rule with a number; every method of
camtui's own passes.
"""

from __future__ import annotations

from doctest import DocTestFinder, DocTestRunner
from types import ModuleType

import pytest
import torch
from torch import Tensor

from camtui import extend
from evaluator.catalog import formula
from evaluator.errors import UsageError
from evaluator.measuring.conformance import (
    answer,
    verdicts_of,
    verdicts_of_method,
    verdicts_of_metric,
)
from evaluator.measuring.trial import Verdict, trial_images
from evaluator.methods import all_methods
from evaluator.methods.base import FixedMap, ImageMethod, ImageView, Method, View
from evaluator.methods.saliency import pixel_gradient
from evaluator.metrics import all_metrics
from evaluator.metrics.base import Explained, Metric
from tests.measuring_rules import needs_only_stored_rows

FEW: dict[str, dict[str, int]] = {
    "gradientshap": {"n": 3},
    "ig": {"n": 3},
    "iscam": {"n": 2},
    "occlusion": {"window": 80, "stride": 60},
    "opticam": {"steps": 2},
    "rise": {"n": 12},
    "smoothgrad": {"n": 3},
    "sscam": {"n": 2},
}
"""Fewer noisy passes, windows, steps and masks than published, of the same formula."""


class Fine(Method):
    key = "fine"
    title = "Fine"
    paper = "nobody"
    weighs_by = "the gradient"

    def combine(self, view: View) -> Tensor:
        return (view.gradient.mean((2, 3), keepdim=True) * view.activation).sum(1)

    def slow(self, seen):  # type: ignore[no-untyped-def]
        activation, gradient, _ = seen.passed(seen.x)
        return sum(g.mean() * a for g, a in zip(gradient, activation, strict=True))


class KeepsState(Fine):
    key = "keeps_state"
    total = 0.0

    def combine(self, view: View) -> Tensor:
        found = super().combine(view)
        type(self).total = 0.9 * self.total + float(found.detach().abs().mean())
        return found - 0.1 * self.total


class DependsOnTheBatch(Fine):
    key = "depends_on_the_batch"

    def combine(self, view: View) -> Tensor:
        found = super().combine(view)
        return found - found.mean()


class HiddenForwards(Fine):
    key = "hidden_forwards"

    def combine(self, view: View) -> Tensor:
        return super().combine(view.perturbed("hidden", 0, 0.1)) + super().combine(
            view.perturbed("hidden", 1, 0.1)
        )


class WrongShape(Fine):
    key = "wrong_shape"

    def combine(self, view: View) -> Tensor:
        return super().combine(view)[:, None]


class NotANumber(Fine):
    key = "not_a_number"

    def combine(self, view: View) -> Tensor:
        found = super().combine(view)
        return found / (found - found.amax((1, 2), keepdim=True))


class Writes(Fine):
    key = "writes"

    def combine(self, view: View) -> Tensor:
        found = super().combine(view)
        view.activation.data.clamp_(min=0)  # no count of writes tells
        return found


class SetsDtype(Fine):
    key = "sets_dtype"

    def combine(self, view: View) -> Tensor:
        found = super().combine(view)
        torch.set_default_dtype(torch.float64)
        return found


class Random(Fine):
    key = "random"

    def combine(self, view: View) -> Tensor:
        return super().combine(view) + 0.01 * torch.rand_like(view.activation[:, 0])


class SlowIsAnother(Fine):
    key = "slow_is_another"

    def slow(self, seen):  # type: ignore[no-untyped-def]
        return super().slow(seen) ** 2  # type: ignore[no-untyped-call]


class Raises(Fine):
    key = "raises"

    def combine(self, view: View) -> Tensor:
        return super().combine(view) + torch.zeros(3)


class Deep(Fine):
    key = "deep"

    def combine(self, view: View) -> Tensor:
        return torch.zeros(1)[view.logits.shape[1] :].sum() + view.activation[:, 3]


class TooBright(FixedMap):
    key = "too_bright"
    title = "Too bright"
    paper = "nobody"
    weighs_by = "two"

    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        return [[2.0] * width for _ in range(height)]


def broken(method: Method) -> dict[str, str]:
    """The rules that are broken, with what was found on the first network."""
    return {
        verdict.rule: verdict.found
        for verdict in reversed(list(verdicts_of_method(method)))
        if verdict.passed is False
    }


def test_a_method_that_keeps_every_rule() -> None:
    verdicts = list(verdicts_of_method(Fine()))
    assert [verdict for verdict in verdicts if not verdict.passed] == []
    assert {verdict.rule for verdict in verdicts} >= {
        "shape",
        "finite",
        "passes",
        "slow(seen)",
        "1 channel",
        "64 channels",
    }
    assert len(verdicts) > 20


@pytest.mark.parametrize(
    ("method", "rule", "number"),
    [
        (KeepsState(), "keeps nothing between batches", "apart, 0 allowed"),
        (DependsOnTheBatch(), "alone = in a batch (1 of 16)", "apart, 0.0001 allowed"),
        (HiddenForwards(), "passes", "1 declared, 5 counted"),
        (WrongShape(), "shape", "[16, 1, 8, 8], not [16, 8, 8]"),
        (NotANumber(), "finite", "16 of 1024 values are not finite"),
        (Writes(), "writes nothing", "values of the activation overwritten"),
        (SetsDtype(), "keeps torch's state", "torch's default dtype from float32 to float64"),
        (Random(), "the same twice", "apart, 0 allowed"),
        (SlowIsAnother(), "slow(seen)", "apart, 0.0001 allowed"),
        (Raises(), "runs", "test_conformance.py:"),
        (Deep(), "runs", "IndexError"),
        (TooBright(), "range at 32 × 32", "2 to 2, 0 to 1 allowed"),
    ],
)
def test_seeded_faults_are_named_with_their_number(method: Method, rule: str, number: str) -> None:
    found = broken(method)
    assert rule in found
    assert number in found[rule]
    assert set(found) <= {rule, *_ALSO.get(type(method), ())}, "the other rules are kept"


_ALSO: dict[type[Method], tuple[str, ...]] = {
    KeepsState: (
        "the same twice",
        "alone = in a batch (1 of 16)",
        "alone = in a batch (3 of 16)",
        "slow(seen)",
    ),
    DependsOnTheBatch: ("alone = in a batch (3 of 16)", "slow(seen)"),
    HiddenForwards: ("slow(seen)",),
    WrongShape: ("runs",),
    SetsDtype: ("runs",),
    TooBright: ("range at 224 × 224",),
    NotANumber: (
        "slow(seen)",
        "zero activation",
        "1 channel",
        "64 channels",
        "alone = in a batch (1 of 16)",
        "alone = in a batch (3 of 16)",
        "the same twice",
        "keeps nothing between batches",
        "runs",
    ),
    Random: ("alone = in a batch (1 of 16)", "alone = in a batch (3 of 16)", "slow(seen)"),
}
"""Rules that the same fault breaks too."""


ATTENTION = [key for key, kind in all_methods().items() if kind.needs_attention]


@pytest.mark.parametrize("key", [key for key in all_methods() if key not in ATTENTION])
def test_every_method_of_camtuis_own(key: str) -> None:
    assert broken(all_methods()[key](**FEW.get(key, {}))) == {}


@pytest.mark.parametrize("key", ATTENTION)
def test_methods_of_attention_are_tried_on_a_transformer(key: str) -> None:
    verdicts = list(verdicts_of("method", key))
    assert [verdict for verdict in verdicts if verdict.passed is False] == []
    tried = {verdict.rule for verdict in verdicts if verdict.passed}
    assert {"shape", "finite", "writes nothing", "passes", "the same twice"} <= tried
    photographs = [verdict for verdict in verdicts if verdict.rule == "photographs"]
    assert [verdict.passed for verdict in photographs] == [None], "no transformer to show them to"


@pytest.mark.parametrize(
    "key", [key for key, metric in all_metrics().items() if needs_only_stored_rows(key, metric)]
)
def test_metrics_of_camtuis_own(key: str) -> None:
    assert [
        verdict
        for verdict in verdicts_of_metric(all_metrics()[key], formula(key))
        if not verdict.passed
    ] == []


OWN = Metric("own", "Own", "own", "nobody", "higher", "o_c")


def module(**members: object) -> ModuleType:
    made = ModuleType("own")
    vars(made).update(members)
    return made


def _sets_threads(explained: Explained) -> Tensor:
    torch.set_num_threads(7)
    return explained.masked


@pytest.mark.parametrize(
    ("measure", "rule", "number"),
    [
        (lambda explained: explained.masked.mean(), "shape", "[], [16] expected"),
        (lambda explained: explained.masked + 1, "range", "0 to 1 allowed"),
        (lambda explained: explained.masked / 0, "finite", "of 16 values are not finite"),
        (
            lambda explained: explained.masked / explained.masked.max(),
            "alone = in a batch (1 of 16)",
            "apart",
        ),
        (lambda explained: torch.rand(len(explained.masked)), "the same twice", "apart"),
        (lambda explained: explained.masked.mul_(0.5), "writes nothing", "overwritten"),
        (
            _sets_threads,
            "keeps torch's state",
            "torch's number of threads from",
        ),
        (lambda explained: explained.nothing, "runs", "AttributeError"),
        (
            lambda explained: (
                explained.masked
                / (explained.masked + explained.clean - explained.clean.clamp(min=1e-9))
            ),
            "finite where the network is certain",
            "of 5 values",
        ),
    ],
)
def test_faults_of_metrics(measure: object, rule: str, number: str) -> None:
    found: dict[str, str] = {}
    for verdict in verdicts_of_metric(OWN, module(measure=measure)):
        if verdict.passed is False:
            found.setdefault(verdict.rule, verdict.found)
    assert rule in found
    assert number in found[rule]


def test_a_request_is_answered_line_by_line() -> None:
    """The process itself is that of ``camtui check``, whose tests run it."""
    first, *others = answer({"axis": "metric", "spec": "sparseness"})
    assert first == {"axis": "metric", "spec": "sparseness"}
    assert [Verdict(**other) for other in others] == list(verdicts_of("metric", "sparseness"))
    refused = iter(answer({"axis": "metric", "spec": "nothing"}))
    assert next(refused) == {"axis": "metric", "spec": "nothing"}
    with pytest.raises(UsageError, match="unknown metric"):
        next(refused)


def test_a_method_is_tried_on_photographs_too() -> None:
    verdicts = list(verdicts_of("method", "gradcam"))
    assert all(verdict.passed is not False for verdict in verdicts)
    assert {"photographs", "slow(seen)"} <= {verdict.rule for verdict in verdicts}
    assert [verdict.found for verdict in verdicts if verdict.rule == "photographs"] == [
        "3 of 3 rows"
    ]


def test_trial_values_do_not_depend_on_how_many() -> None:
    assert torch.equal(trial_images(2), trial_images(5)[:2])


def test_the_image_method_of_the_documentation_passes() -> None:
    found = next(one for one in DocTestFinder().find(extend) if one.name == extend.__name__)
    DocTestRunner().run(found, clear_globs=False)
    made = found.globs["Halves"]()
    assert isinstance(made, ImageMethod)
    assert broken(made) == {}


class Undeclared(ImageMethod):
    """A gradient of the image that says it costs one forward."""

    key = "undeclared"
    title = "Undeclared"
    paper = "nobody"
    weighs_by = "the gradient"

    def explain(self, view: ImageView) -> Tensor:
        return pixel_gradient(view)

    def cost(self) -> int:
        return 1


def test_a_backward_counts_as_two_forwards() -> None:
    made = Undeclared()
    found = {v.found for v in verdicts_of_method(made) if v.rule == "passes" and not v.passed}
    assert found == {
        "3 declared, 7 counted (GAP + linear head)",
        "3 declared, 7 counted (deep head)",
    }
