"""A description stands in for the code: same name, options, cost and map identity; and a hostile
one is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from evaluator import catalog
from evaluator.catalog import method, metric, register
from evaluator.errors import RunFailed, UsageError
from evaluator.methods.base import FixedMap, ImageMethod, ImageView, Method, View
from evaluator.metrics.base import Metric
from evaluator.user_code_facts import Code, facts_of_method, facts_of_metric


@dataclass(frozen=True)
class Original(Method):
    key = "original"
    title = "The Original"
    paper = "nobody, 2026"
    weighs_by = "nothing"
    choices = {"variant": ("a", "b")}
    ranges = {"beta": (0.0, 1.0)}
    needs_gap_linear = True
    masks_channels = True
    beta: float = 0.5
    samples: int = 4
    loud: bool = False
    variant: str = "a"

    def combine(self, view: View) -> Any:
        return view.activation

    def forwards(self, channels: int, gap_linear: bool) -> int:
        return 3 + self.samples * channels if gap_linear else 7

    def map_identity(self, gap_linear: bool) -> str:
        return "gradcam" if gap_linear else self.name


class Corner(FixedMap):
    key = "corner"
    title = "Corner"
    paper = "nobody, 2026"
    weighs_by = "the corner"

    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        return [
            [1.0 if y < height / 2 and x < width / 2 else 0.25 for x in range(width)]
            for y in range(height)
        ]


def code(kind: type[Method], *specs: Method) -> Code:
    """As it is stored and read back."""
    made = Code(
        "method", kind.key, "/here/x.py:X", "0" * 64, facts=facts_of_method(kind, specs or [kind()])
    )
    return Code.from_dict(json.loads(json.dumps(asdict(made))))


def test_a_described_method_is_named_costed_and_compared_as_the_original() -> None:
    one, other = Original(), Original(beta=0.0, samples=2, loud=True, variant="b")
    register(code(Original, one, other))
    for spec, original in (
        ("original", one),
        ("original:beta=0,samples=2,loud=true,variant=b", other),
    ):
        known = method(spec)
        assert (known.name, known.options, known.title) == (
            original.name,
            original.options,
            original.title,
        )
        assert known.needs_gap_linear
        assert known.masks_channels
        for gap in (True, False):
            assert known.map_identity(gap) == original.map_identity(gap)
            for channels in (0, 1, 64, 1280, 2048):
                assert known.forwards(channels, gap) == original.forwards(channels, gap)
    with pytest.raises(RunFailed):
        method("original").combine(None)  # type: ignore[arg-type]  # it is not looked at


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("beta=2", "a number from 0 to 1"),
        ("samples=0", "whole number from 1"),
        ("loud=3", "True or False"),
        ("variant=c", "a or b"),
    ],
)
def test_its_options_are_checked(option: str, words: str) -> None:
    register(code(Original))
    with pytest.raises(UsageError, match=words):
        method(f"original:{option}")


def test_a_described_fixed_map_can_be_drawn() -> None:
    register(code(Corner))
    drawn = method("corner")
    assert isinstance(drawn, FixedMap)
    for height, width in ((224, 224), (240, 100), (5, 7)):
        pixels = drawn.fixed_map(height, width)
        assert (len(pixels), len(pixels[0])) == (height, width)
        assert pixels[0][0] == 1
        assert pixels[-1][-1] == pytest.approx(0.25, abs=0.01)


class Whole(ImageMethod):
    key = "whole"
    title = "Whole"
    paper = "nobody, 2026"
    weighs_by = "the pixels"

    def explain(self, view: ImageView) -> Any:
        return view.images

    def cost(self) -> int:
        return 9


def test_a_described_image_method_is_one_and_costs_what_it_said() -> None:
    register(code(Whole))
    described = method("whole")
    assert isinstance(described, ImageMethod)
    assert catalog.is_of_images("whole")
    assert "whole" in catalog.expand_methods(["image"])
    assert described.forwards(100, gap_linear=False) == 1 + 2 * 9
    with pytest.raises(RunFailed, match="has not been imported"):
        described.explain(None)  # type: ignore[arg-type]  # never looked at


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 1e6), (-inf, 0.0), (-inf, inf)])
def test_a_described_metric(low: float, high: float) -> None:
    own = Metric("mine", "Mine", "mi", "nobody", "lower", "o_c", curve=True, low=low, high=high)
    register(
        Code.from_dict(
            json.loads(
                json.dumps(
                    asdict(Code("metric", "mine", "x:M", "0" * 64, facts=facts_of_metric(own))),
                    allow_nan=False,
                )
            )
        )
    )
    assert metric("mine") == own
    assert "mine" in catalog.optional_metrics()
    assert "mine" in catalog.curve_metrics()


@pytest.mark.parametrize("key", ["gradcam", "adcc", "Über", "a b", "x" * 50, "", "\x1b[2J", "../x"])
@pytest.mark.parametrize("axis", ["method", "metric"])
def test_keys_that_are_refused(axis: str, key: str) -> None:
    known = key in catalog.known_methods() or key in catalog.known_metrics()
    wrong_axis = known and key not in (
        catalog.known_methods() if axis == "method" else catalog.known_metrics()
    )
    if wrong_axis:
        return
    facts = (
        facts_of_method(Original, [Original()])
        if axis == "method"
        else facts_of_metric(metric("adcc"))
    )
    with pytest.raises(UsageError):
        register(
            Code.from_dict(
                {"axis": axis, "key": key, "reference": "x:X", "sha256": "0", "facts": facts}
            )
        )


@pytest.mark.parametrize(
    "facts",
    [
        {"options": {"import os; x": 1}},
        {"options": {"lambda": 1}},
        {"options": {"__init__": 1}},
        {"options": {"x": [1]}},
        {"options": {"combine": 1.0, "X": 1}},
    ],
)
def test_hostile_options_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        register(Code("method", "mine", "x:X", "0", facts=facts))


def test_wrong_values_become_defaults_and_escapes_are_seen() -> None:
    wrong = {
        "class": {
            "title": "a\x1b[2Jb",
            "paper": 3,
            "masks_channels": "yes",
            "choices": [1],
            "combine": "x",
            "key": "other",
        },
        "specs": {"mine": {"forwards": {"gap": [-1, "x"]}, "map": "zz"}, "other": 3},
        "fixed": True,
    }
    register(Code("method", "mine", "x:X", "0", facts=wrong))
    known = method("mine")
    assert known.title == "a\\x1b[2Jb"
    assert (known.key, known.paper, known.masks_channels, known.choices) == ("mine", "", False, {})
    assert known.forwards(2048, True) == 1
    assert isinstance(known, FixedMap)
    assert known.fixed_map(2, 2) == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "change", [{"better": "sideways"}, {"title": 3}, {"curve": "yes"}, {"definition": None}]
)
def test_a_hostile_metric_is_refused(change: dict[str, Any]) -> None:
    facts = {**facts_of_metric(metric("deletion")), **change}
    with pytest.raises(UsageError):
        register(
            Code(
                "metric",
                "mine",
                "x:X",
                "0",
                facts={k: v for k, v in facts.items() if v is not None},
            )
        )


@pytest.mark.parametrize(
    "values", [3, [], {"axis": "method"}, {"axis": "else", "key": "a"}, {"nothing": 1}, {"axis": 1}]
)
def test_what_is_no_code_is_refused(values: Any) -> None:
    with pytest.raises(UsageError):
        register(Code.from_dict(values))


def test_code_is_not_replaced_by_a_description(tmp_path: Path) -> None:
    catalog.register_method(Original)
    register(replace(code(Original), facts={}))
    assert isinstance(method("original"), Original)
