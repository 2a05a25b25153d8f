"""Whether two networks have the same classes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluator.execution.labelling import first_difference, same_classes
from evaluator.labels import imagenet_wnids
from evaluator.records import LoadedBackbone
from tests.evaluator.execution.test_loop import loaded

TEN = tuple(f"class {n}" for n in range(10))
IMAGENET = tuple(f"thing {n}" for n in range(1000))


def network(names: tuple[str, ...], count: int | None = None) -> LoadedBackbone:
    return replace(loaded("mine"), classes=names, class_count=count or len(names))


@pytest.mark.parametrize(
    ("one", "other", "same", "place"),
    [
        (network(TEN), network(TEN), True, None),
        (network(TEN), network((*TEN[:3], "shark", *TEN[4:])), False, 3),
        (network(TEN), network(TEN[::-1]), False, 0),
        (network(TEN), network(TEN[:9]), False, None),
        (network(TEN), network((), 10), True, None),
        (network(TEN), network((), 9), False, None),
        (network(("great_white shark",)), network(("Great white shark, man-eater",)), True, None),
        (network(IMAGENET), network(()), True, None),
        (network(IMAGENET), network(("tench", *IMAGENET[1:])), True, None),
        (network(IMAGENET), network(IMAGENET[::-1]), False, 0),
        (network(IMAGENET), network((IMAGENET[1], IMAGENET[0], *IMAGENET[2:])), False, 0),
        (network(IMAGENET), network((*IMAGENET[1:300], "x", *IMAGENET[300:])), False, 0),
        (
            network(("a", *IMAGENET[1:])),
            network((*IMAGENET[:517], "a", *IMAGENET[518:])),
            True,
            None,
        ),
        (network(IMAGENET), network(tuple(imagenet_wnids())), True, None),
    ],
)
def test_numbers_and_names_tell(
    one: LoadedBackbone, other: LoadedBackbone, same: bool, place: int | None
) -> None:
    assert same_classes(one, other) is same_classes(other, one) is same
    assert first_difference(one, other) == first_difference(other, one) == place
