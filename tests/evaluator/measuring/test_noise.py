"""Noise drawn ahead: the very numbers of noise that is drawn when it is asked for, and no more of
it than is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from evaluator.measuring.inputs import _AHEAD, Field, Noise, NoiseAhead, fields_of, on_explanation
from tests.evaluator.pretend_gpu import PretendGpu, pretend_gpu

KEYS = (b"a", b"b", b"c")
SHAPE = (3, 8, 8)


@pytest.fixture
def gpu() -> Iterator[PretendGpu]:
    with pretend_gpu() as found:
        yield found


@pytest.fixture
def ahead(gpu: PretendGpu) -> Iterator[NoiseAhead]:
    with ThreadPoolExecutor(2) as threads:
        yield NoiseAhead(threads)


def field(name: str = "n", step: int = 0, keys: tuple[bytes, ...] = KEYS) -> Field:
    return Field(keys, name, step, SHAPE)


def test_the_same_numbers_whether_expected_or_not(ahead: NoiseAhead, gpu: PretendGpu) -> None:
    ahead.expect([field(step=1)])
    for step in (0, 1, 1):
        drawn = ahead.of(field(step=step))
        assert drawn.equal(Noise().of(field(step=step)))
        assert gpu.is_pinned(drawn)


def test_an_image_has_its_noise_whatever_is_drawn_beside_it(ahead: NoiseAhead) -> None:
    whole = ahead.of(field())
    ahead.expect([field()])
    assert ahead.of(field(keys=(b"c", b"a"))).equal(whole[[2, 0]]), "one of three could not be read"
    assert not ahead._begun


def test_no_more_is_held_than_a_few_fields(ahead: NoiseAhead) -> None:
    wanted = [field(step=step) for step in range(3 * _AHEAD)]
    ahead.expect(wanted)
    for one in wanted:
        assert len(ahead._begun) <= _AHEAD
        ahead.of(one)
    assert not ahead._begun
    assert not ahead._waiting


def test_what_is_no_longer_wanted_is_forgotten(ahead: NoiseAhead) -> None:
    other = field(keys=(b"z",))
    ahead.expect([*fields_of([("n", step) for step in range(_AHEAD)], KEYS, SHAPE), other])
    ahead.forget(KEYS)
    assert list(ahead._begun) == [other]
    assert not ahead._waiting


def test_passes_over_images_come_before_those_over_their_explanation_maps() -> None:
    masked = tuple(map(on_explanation, KEYS))
    assert fields_of([("n", 2), ("n", 3)], KEYS, SHAPE) == [
        field(step=2),
        field(step=3),
        field(step=2, keys=masked),
        field(step=3, keys=masked),
    ]


def test_standard_normal() -> None:
    drawn = Noise().of(Field((b"k",), "n", 0, (3, 64, 64)))
    assert abs(float(drawn.mean())) < 0.05
    assert abs(float(drawn.std()) - 1) < 0.05
    assert torch.isfinite(drawn).all()
