"""Optional metrics in a session: with a truth, without one, from other metrics; what an image
lacks is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator import catalog
from evaluator.backbones import parse_backbone
from evaluator.errors import UnstableAnswer
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import EvaluationSession, open_session
from evaluator.networks.backbone_loading import load_backbone
from evaluator.plan import validated_plan
from evaluator.records import ImageRef, StoredMap, Unit, UnitResult

METHODS = ("gradcam", "fakecam")
LOCALISATION = ("mass_accuracy", "pointing_game", "rank_accuracy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures: a mask, a mask of another size, a damaged one, none."""
    home = tmp_path_factory.mktemp("requested")
    (home / "data").mkdir()
    (home / "truth").mkdir()
    random = np.random.default_rng(0)
    for name in "abcd":
        pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((320, 240)).save(home / "data" / f"{name}.png")
    mask = np.zeros((240, 320), dtype=np.uint8)
    mask[:, 160:] = 255
    Image.fromarray(mask).save(home / "truth/a.png")
    Image.fromarray(mask[:100]).save(home / "truth/b.png")
    (home / "truth/c.png").write_bytes(b"damaged")
    return home


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[EvaluationSession]:
    values = {
        "data": str(folder / "data"),
        "truth": str(folder / "truth"),
        "backbones": ["resnet18:weights=random:0"],
        "methods": METHODS,
        "metrics": ["all"],
    }
    opened = open_session(SessionSettings(validated_plan(values), str(folder / "data")))
    opened.load(0)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[str, ImageRef]:
    return {ref.path.decode()[0]: ref for ref in find_images(folder / "data", seed=0).images}


@pytest.fixture(scope="module")
def rows(session: EvaluationSession, images: dict[str, ImageRef]) -> UnitResult:
    return session.evaluate(Unit(0, 0, 0, (1, 2), METHODS, tuple(images.values())))


def asked(
    rows: UnitResult, images: dict[str, ImageRef], *metrics: str, of: tuple[str, ...] = ()
) -> Unit:
    maps = {
        (row.cell, row.image): StoredMap(
            row.target, row.y, row.o, row.map, tuple((key, getattr(row, key)) for key in of)
        )
        for row in rows.rows
    }
    return Unit(1, 0, 0, (1, 2), METHODS, tuple(images.values()), metrics, maps)


def values(result: UnitResult, metric: str) -> dict[tuple[int, int], float]:
    return {(one.cell, one.image): one.value for one in result.measurements if one.metric == metric}


def test_images_without_a_usable_truth_have_no_value_and_say_why(
    session: EvaluationSession, images: dict[str, ImageRef], rows: UnitResult
) -> None:
    result = session.evaluate(asked(rows, images, *LOCALISATION))
    assert result.forwards == 0
    a = images["a"].id
    for metric in LOCALISATION:
        assert set(values(result, metric)) == {(1, a), (2, a)}
    assert values(result, "mass_accuracy")[2, a] == pytest.approx(0.5, abs=1e-4), (
        "Fake-CAM lies everywhere"
    )
    reasons = {(one.image, one.reason) for one in result.failures}
    expected = {("b", "truth-size"), ("c", "truth-broken"), ("d", "no-truth")}
    assert reasons == {(images[name].id, reason) for name, reason in expected}
    assert len(result.failures) == 3 * 2 * 3


def test_the_answer_does_not_depend_on_how_a_unit_is_cut(
    session: EvaluationSession, images: dict[str, ImageRef], rows: UnitResult
) -> None:
    chosen = (images["a"], images["c"])
    unit = replace(
        asked(rows, images, "mass_accuracy", "road", "sparseness"),
        cells=(1,),
        methods=METHODS[:1],
        images=chosen,
    )
    together = session.evaluate(unit)
    for ref in chosen:
        alone = session.evaluate(replace(unit, images=(ref,)))
        for metric in ("mass_accuracy", "road", "sparseness"):
            for key, value in values(alone, metric).items():
                assert value == pytest.approx(values(together, metric)[key], abs=1e-6)


def test_arcc_is_computed_from_what_was_measured_with_it_or_before(
    session: EvaluationSession, images: dict[str, ImageRef], rows: UnitResult
) -> None:
    both = session.evaluate(asked(rows, images, "arcc", "road", of=("coherency", "complexity")))
    assert both.forwards == 2 * 4 * 8
    road = values(both, "road")
    later = asked(rows, images, "arcc", of=("coherency", "complexity"))
    maps = {
        key: one._replace(measured=(*one.measured, ("road", road[key])))
        for key, one in later.maps.items()
        if key[1] != 0
    }
    alone = session.evaluate(replace(later, maps={**later.maps, **maps}))
    assert alone.forwards == 0
    assert values(alone, "arcc") == {
        key: value for key, value in values(both, "arcc").items() if key[1] != 0
    }
    assert {(one.image, one.reason, one.detail) for one in alone.failures} == {
        (0, "no-source", "it has no road")
    }


def test_images_that_cannot_be_read_any_more(
    folder: Path, session: EvaluationSession, images: dict[str, ImageRef], rows: UnitResult
) -> None:
    (folder / "data/a.png").rename(folder / "gone.png")
    try:
        result = session.evaluate(
            asked(rows, images, "arcc", "mass_accuracy", "road", of=("coherency", "complexity"))
        )
    finally:
        (folder / "gone.png").rename(folder / "data/a.png")
    a = images["a"].id
    assert {(one.metric, one.reason) for one in result.failures if one.image == a} == {
        ("road", "missing"),
        ("arcc", "no-source"),
    }
    assert (1, a) in values(result, "mass_accuracy")
    assert len(values(result, "road")) == len(values(result, "arcc")) == 6


@contextmanager
def small_session(folder: Path, *metrics: str) -> Iterator[tuple[EvaluationSession, UnitResult]]:
    """A session of a network for 64 × 64 pixels, and its rows."""
    plan = {
        "data": str(folder / "data"),
        "truth": str(folder / "truth"),
        "backbones": ["synthetic_gap"],
        "methods": METHODS,
        "metrics": metrics,
    }
    opened = open_session(SessionSettings(validated_plan(plan), str(folder / "data")))
    opened.load(0)
    refs = tuple(find_images(folder / "data", seed=0).images)
    yield opened, opened.evaluate(Unit(0, 0, 0, (1, 2), METHODS, refs))
    opened.close()


def test_computed_later_is_computed_at_once(folder: Path, images: dict[str, ImageRef]) -> None:
    """Every metric of one image in two cells, all together, and one at a time, backwards."""
    wanted = sorted(catalog.optional_metrics())
    with small_session(folder, "all") as (session, rows):
        unit = asked(rows, images, *wanted, of=("coherency", "complexity"))
        unit = replace(unit, images=(images["a"],))
        together = session.evaluate(unit)
        assert together.failures == ()
        found = {(one.cell, one.image, one.metric): one for one in together.measurements}
        assert sorted({one.metric for one in together.measurements}) == wanted
        for key in reversed(wanted):
            of = [source for source in catalog.metric(key).of if source in wanted]
            maps = {
                pair: one._replace(
                    measured=(*one.measured, *((of, found[*pair, of].value) for of in of))
                )
                for pair, one in unit.maps.items()
                if pair[1] == images["a"].id
            }
            later = session.evaluate(replace(unit, metrics=(key,), maps=maps))
            assert later.measurements == tuple(
                one for one in together.measurements if one.metric == key
            )
        alone = session.evaluate(replace(unit, metrics=("morf_lerf",)))
        assert {(one.reason, one.detail) for one in alone.failures} == {
            ("no-source", "it has no deletion")
        }


def test_a_network_without_random_weights_fails_the_metric_that_needs_them(
    folder: Path, images: dict[str, ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def refused(*_: object, **__: object) -> None:
        nonlocal tried
        tried += 1
        raise UnstableAnswer("its answer is chance", "mend it")

    with small_session(folder, "efficient_mprt", "sparseness") as (session, rows):
        monkeypatch.setattr("evaluator.measuring.session.load_backbone", refused)
        unit = asked(rows, images, "efficient_mprt", "sparseness")
        for _ in range(2):
            result = session.evaluate(unit)
            assert {one.metric for one in result.measurements} == {"sparseness"}
            assert len(result.failures) == 8
            assert {(one.metric, one.reason, one.detail) for one in result.failures} == {
                (
                    "efficient_mprt",
                    "no-random-weights",
                    "the network cannot run with random weights: its answer is chance",
                )
            }
    assert tried == 1


def test_random_weights_are_those_of_the_same_network_drawn_anew(
    folder: Path, images: dict[str, ImageRef]
) -> None:
    """One forward for all methods, and the same in another worker."""
    with small_session(folder, "efficient_mprt") as (session, rows):
        unit = asked(rows, images, "efficient_mprt")
        result = session.evaluate(unit)
        assert result.forwards == 4
        mine = values(result, "efficient_mprt")
    spec = parse_backbone("synthetic_gap")
    trained, drawn = load_backbone(spec), load_backbone(spec, redrawn=True)
    assert trained.facts.sha256 != drawn.facts.sha256
    assert replace(trained.facts, sha256="") == replace(drawn.facts, sha256="")
    with small_session(folder, "efficient_mprt") as (session, _):
        assert values(session.evaluate(unit), "efficient_mprt") == mine
    assert {value for (cell, _), value in mine.items() if METHODS[cell - 1] == "fakecam"} == {0.0}
    assert len({value for (cell, _), value in mine.items() if METHODS[cell - 1] == "gradcam"}) == 4
