"""How far the maps of two methods are apart on the demo's photographs."""

from __future__ import annotations

import pytest

from evaluator.catalog import method
from evaluator.measuring import against
from evaluator.measuring.against import Photographs, answer, compared, has_reference


@pytest.fixture(scope="module")
def photographs() -> Photographs:
    return Photographs("synthetic_cnn", 2)


def test_a_method_is_not_apart_from_itself(photographs: Photographs) -> None:
    found = compared(photographs, ["gradcam", "gradcam"])
    assert [one.largest for one in found] == [0.0, 0.0]
    assert [one.correlation for one in found] == pytest.approx([1.0, 1.0])
    assert [one.image for one in found] == [i.path.decode() for i in photographs.images]


def test_two_methods_are_as_far_apart_as_their_pixels(photographs: Photographs) -> None:
    first, second = (photographs.maps(method(spec)) for spec in ("gradcam", "layercam"))
    found = photographs.apart(first, second)
    for place, one in enumerate(found):
        assert one.largest == pytest.approx(float((first[place] - second[place]).abs().max()))
        assert 0 < one.largest <= 1
        assert -1 <= one.correlation < 1


def test_an_answer_is_by_network_with_what_is_wrong_in_place_of_images() -> None:
    networks = {"networks": ["synthetic_cnn"]}
    about, found = answer({"first": {"spec": "gradcam"}, "second": {"spec": "centre"}, **networks})
    assert about == {"specs": ["gradcam", "centre"], "references": [True, True]}
    assert len(found["images"]) == against.PHOTOGRAPHS
    _, refused = answer({"first": {"spec": "gradcam"}, "second": {"spec": "cam"}, **networks})
    assert "problem" in refused


def test_our_own_methods_have_a_reference() -> None:
    assert has_reference("gradcampp")
