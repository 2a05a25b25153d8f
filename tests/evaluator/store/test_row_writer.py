"""Rows, optional metrics and failures: what is committed together, and what is dropped."""

from __future__ import annotations

import sqlite3
from math import inf
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from evaluator import catalog
from evaluator.metrics.base import Metric
from evaluator.records import (
    Failure,
    Measurement,
    Row,
)
from evaluator.statistics import ARCC, quantise
from evaluator.store.audit import audit, repair
from evaluator.store.reader import RunReader
from evaluator.store.sums import sums_of
from tests.evaluator.store.runs import begun, count, failure, measurement, raw, result, row

Sums = dict[tuple[int, str, str], tuple[int, int]]


def stored_sums(path: Path) -> Sums:
    return {
        (cell, a, b): (n, total)
        for cell, a, b, n, total in raw(path, "SELECT cell_id, a, b, n, total FROM sums")
    }


def recomputed_sums(path: Path) -> Sums:
    """From the tables themselves, by SQLite's own arithmetic on rounded values, value by value."""
    sums: dict[tuple[int, str, str], list[int]] = {}

    def add(key: tuple[int, str, str], value: float) -> None:
        entry = sums.setdefault(key, [0, 0])
        entry[0] += 1
        entry[1] += round(value * 2**40)

    names = ("average_drop", "average_increase", "coherency", "complexity", "adcc")
    for cell, degenerate, *values in raw(
        path, f"SELECT cell_id, degenerate, {', '.join(names)} FROM results"
    ):
        known = {
            name: value for name, value in zip(names, values, strict=True) if value is not None
        }
        add((cell, "degenerate", ""), degenerate)
        for name, value in known.items():
            add((cell, name, ""), value)
            add((cell, name, name), value**2)
        for a, b in (
            ("average_drop", "coherency"),
            ("average_drop", "complexity"),
            ("coherency", "complexity"),
        ):
            if {a, b} <= set(known):
                add((cell, a, b), known[a] * known[b])
    for cell, name, value in raw(path, "SELECT cell_id, metric, value FROM measurements"):
        add((cell, name, ""), value)
        add((cell, name, name), value**2)
    return {key: (n, total) for key, (n, total) in sums.items()}


def test_sums_are_those_of_the_rows(path: Path) -> None:
    with begun(path) as writer:
        assert (
            writer.rows.commit(
                result(row(1, 0), row(1, 1, drop=None), row(2, 0, drop=1.0), measurement(1, 0))
            )
            == 4
        )
        assert (
            writer.rows.commit(result(row(1, 2, degenerate=True), measurement(1, 2), failure(2, 2)))
            == 2
        )
    assert stored_sums(path) == recomputed_sums(path)
    assert stored_sums(path)[1, "degenerate", ""] == (3, 2**40)
    assert stored_sums(path)[1, "average_drop", ""] == (2, quantise(0.25) * 2), (
        "an undefined drop is left out"
    )


def test_sums_do_not_depend_on_the_order_of_commits(path: Path, tmp_path: Path) -> None:
    records = [row(cell, image, drop=0.1 + image / 7) for cell in (1, 2) for image in range(4)]
    other = tmp_path / "other.db"
    with begun(path) as first, begun(other) as second:
        first.rows.commit(result(*records))
        for record in reversed(records):
            second.rows.commit(result(record))
    assert stored_sums(path) == stored_sums(other)


def test_what_is_there_already_is_dropped(path: Path) -> None:
    with begun(path) as writer:
        unit = result(row(1, 0), row(2, 0), measurement(1, 0))
        assert writer.rows.commit(unit) == 3
        before = (
            stored_sums(path),
            raw(path, "SELECT * FROM results"),
            raw(path, "SELECT * FROM histograms"),
        )
        assert writer.rows.commit(unit) == 0
        assert writer.rows.commit(result(row(1, 0, drop=0.9), row(1, 1))) == 1
        assert raw(path, "SELECT average_drop FROM results WHERE cell_id = 1 AND image_id = 0") == [
            (0.25,)
        ]
    assert before[0] != stored_sums(path) == recomputed_sums(path)


def test_rows_and_sums_appear_together_or_not_at_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), failure(1, 1)))
        monkeypatch.setattr(writer.rows.sums, "add", full)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            writer.rows.commit(result(row(1, 1), measurement(1, 0), failure(2, 0)))
        assert (count(path, "results"), count(path, "measurements"), count(path, "failures")) == (
            1,
            0,
            1,
        )
        monkeypatch.undo()
        assert writer.rows.commit(result(row(1, 1), measurement(1, 0), failure(2, 0))) == 2
    assert stored_sums(path) == recomputed_sums(path)


def test_a_reader_never_sees_rows_without_their_sums(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        seen = []
        add = writer.rows.sums.add

        def watched(*parts: Any) -> None:
            add(*parts)
            seen.append((reader.averages.summaries()[0].n, reader.rows.get(1, 0)))

        monkeypatch.setattr(writer.rows.sums, "add", watched)
        writer.rows.commit(result(row(1, 0)))
        assert seen == [(0, None)]
        assert (reader.averages.summaries()[0].n, reader.rows.get(1, 0)) == (1, row(1, 0))


def test_a_row_mends_its_failure(path: Path) -> None:
    with begun(path) as writer:
        assert (
            writer.rows.commit(
                result(failure(1, 0), failure(2, 0), failure(1, 0, "deletion"), failure(1, 1))
            )
            == 0
        )
        assert writer.rows.commit(result(failure(1, 0))) == 0
        assert count(path, "failures") == 4
        writer.rows.commit(result(row(1, 0)))
        assert raw(path, "SELECT cell_id, image_id, metric FROM failures") == [
            (1, 0, "deletion"),
            (1, 1, ""),
            (2, 0, ""),
        ]
        writer.rows.commit(result(measurement(1, 0)))
        assert raw(path, "SELECT cell_id, image_id, metric FROM failures") == [
            (1, 1, ""),
            (2, 0, ""),
        ]


def test_a_failure_of_what_is_done_is_dropped(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0)))
        writer.rows.commit(result(failure(1, 0), failure(1, 0, "deletion")))
    assert raw(path, "SELECT metric FROM failures") == [("deletion",)]


def test_failures_can_be_forgotten(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(failure(1, 0), failure(2, 1)))
        assert writer.rows.forget_failures() == 2
        assert writer.rows.forget_failures() == 0


def test_a_row_of_no_cell_is_refused(path: Path) -> None:
    with begun(path) as writer, pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        writer.rows.commit(result(row(99, 0)))
    assert count(path, "results") == 0


def test_histograms_count_every_value_once(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(
            result(
                row(1, 0, drop=0.0), row(1, 1, drop=1.0), row(1, 2, drop=0.05), row(1, 3, drop=None)
            )
        )
    bins = dict(
        raw(path, "SELECT bin, n FROM histograms WHERE cell_id = 1 AND metric = 'average_drop'")
    )
    assert bins == {0: 1, 1: 1, 19: 1}


def test_sums_of_one_row_by_hand() -> None:
    sums, bins = sums_of([row(1, 0, drop=0.5)], [])
    assert sums[1, "average_drop", ""] == [1, 2**39]
    assert sums[1, "average_drop", "average_drop"] == [1, 2**38]
    assert sums[1, "average_drop", "coherency"] == [1, quantise(0.45)]
    assert bins[1, "average_drop", 10] == 1
    assert len(sums) == 1 + 2 * 5 + 3


def test_rebuilt_sums_are_those_that_were_kept(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), row(2, 1), measurement(1, 0)))
        kept = stored_sums(path), raw(path, "SELECT * FROM histograms")
        raw(path, "UPDATE sums SET total = total + 1")
        with RunReader(path) as reader:
            writer.rows.sums.rebuild(
                list(reader.rows.every_row()), list(reader.rows.every_measurement())
            )
    assert (stored_sums(path), raw(path, "SELECT * FROM histograms")) == kept


def test_every_record_comes_back_as_it_went_in(path: Path) -> None:
    rows: list[Row] = [row(1, 0), row(1, 1, drop=None), row(1, 2, degenerate=True)]
    curve: Measurement = measurement(1, 0)
    bad: Failure = failure(1, 3)
    with begun(path) as writer, RunReader(path) as reader:
        writer.rows.commit(result(*rows, curve, bad))
        assert [found for found, _, _ in reader.rows.of_cell(1)] == rows
        assert reader.rows.measurements(1, 0) == {"deletion": curve}
        assert reader.failures() == [bad]


def test_arcc_is_averaged_as_adcc_is_and_checked(path: Path) -> None:
    """Rows, ROAD and ARCC may come in one unit or one after the other; the sums are those of what
    is stored.
    """
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), row(1, 1), row(2, 0)))
        writer.rows.commit(result(Measurement(1, 0, "road", 0.3), Measurement(1, 0, "arcc", 0.6)))
        writer.rows.commit(result(Measurement(1, 1, "road", -0.2), Measurement(2, 0, "road", 0.1)))
        writer.rows.commit(result(Measurement(1, 1, "arcc", 0.0), Measurement(2, 0, "arcc", 0.4)))
        writer.rows.commit(result(Measurement(1, 1, "arcc", 0.0)))
    with RunReader(path) as reader:
        first = reader.averages.summaries()[0]
        rows = [reader.rows.get(1, image) for image in (0, 1)]
        sources = [
            {"coherency": one.coherency or 0.0, "complexity": one.complexity, "road": road}
            for one, road in zip(rows, (0.3, -0.2), strict=True)
            if one is not None
        ]
        assert first.means["arcc"].value == pytest.approx(ARCC.of_images(sources), abs=1e-9)
        assert first.means["arcc"].n == 2
        assert first.mean_image_arcc is not None
        assert first.mean_image_arcc.value == pytest.approx(0.3)
        assert first.means["road"].value == pytest.approx(0.05)
        assert not [name for name in first.means if "/" in name]
        difference = reader.averages.paired("arcc", 1, 2)
        assert difference is not None
        assert difference.n == 1
        assert audit(reader) == []
    raw(path, "UPDATE sums SET total = total + 1 WHERE a = 'arcc/road' AND b = ''")
    with RunReader(path) as reader:
        assert audit(reader) == [
            f"resnet18/{name}: the sum of arcc/road is not that of its rows"
            for name in ("gradcam", "fakecam")
        ]
    repair(path)
    with RunReader(path) as reader:
        assert audit(reader) == []


RANGES = [
    pytest.param(0.0, 100.0, id="percent"),
    pytest.param(-5.0, 5.0, id="both-signs"),
    pytest.param(-300.0, -200.0, id="negative"),
    pytest.param(0.0, 1e6, id="wide"),
    pytest.param(1e6, 1e6 + 1, id="far-from-0"),
    pytest.param(0.0, 1e-9, id="narrow"),
    pytest.param(0.0, 1e200, id="huge"),
    pytest.param(0.0, 1e100, id="hardly-used"),
    pytest.param(0.0, inf, id="no-greatest"),
    pytest.param(-inf, 0.0, id="no-least"),
    pytest.param(-inf, inf, id="no-ends"),
]


def wide(low: float, high: float) -> Metric:
    return Metric("deletion", "Deletion", "del", "a user", "higher", "", low=low, high=high)


def spread(low: float, high: float) -> list[float]:
    """Values of a range, one for each image."""
    span = high if high == 1e200 else min(high - low, 1e9)
    first = low if low > -inf else min(high, 1e9) - span
    return [first + span * share for share in (0.125, 0.93, 0.3, 0.77)]


def of_value(cell: int, image: int, value: float) -> Measurement:
    return Measurement(cell, image, "deletion", value, b"")


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_a_metric_of_any_range_has_its_mean_and_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, low: float, high: float
) -> None:
    known = {**catalog.known_metrics(), "deletion": wide(low, high)}
    monkeypatch.setattr(catalog, "known_metrics", lambda: known)
    values = spread(low, high)
    with begun(path) as writer:
        for image, value in enumerate(values):
            writer.rows.commit(result(row(1, image), of_value(1, image, value)))
    with RunReader(path) as reader:
        mean = reader.averages.summaries()[0].means["deletion"]
        assert mean.n == 4
        assert mean.value == pytest.approx(fmean(values), rel=1e-12)
        assert mean.se == pytest.approx(stdev(values) / 2, rel=1e-5)
        assert sum(reader.averages.histogram(1, "deletion")) == 4
        listed = reader.ranking.page(1, "deletion", ascending=True, limit=2)
        assert [place.value for place in listed] == sorted(values)[:2]
        assert audit(reader) == []


def test_sums_of_a_wide_metric_take_as_many_images_as_any(path: Path) -> None:
    """The square of 1e6 is 1e24 units of 2⁻⁴⁰: of so many a single one is beyond 64 bits."""
    wide_sums, _ = sums_of(
        [], (of_value(1, n, 1e6) for n in range(1000)), (), {(1, "deletion"): 20}
    )
    assert max(abs(total) for _, total in wide_sums.values()) < 1000 * 2**32
    assert wide_sums[1, "deletion", ""] == [1000, 0], "the count; the digits have the value"


@pytest.mark.parametrize("images", [range(2), range(3)], ids=["one-more", "two-more"])
def test_sums_that_an_earlier_version_would_overflow_are_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch, images: range
) -> None:
    values = spread(0, 1000)
    with begun(path) as writer:
        for image in images:
            writer.rows.commit(result(row(1, image), of_value(1, image, values[image])))
    assert (1, "deletion", "deletion") in stored_sums(path), "in units of 2⁻⁴⁰, as it was"
    known = {**catalog.known_metrics(), "deletion": wide(0, 1000)}
    monkeypatch.setattr(catalog, "known_metrics", lambda: known)
    raw(path, "DELETE FROM histograms WHERE metric = 'deletion'")
    raw(path, "DELETE FROM sum_checksums")
    raw(path, "UPDATE run SET born = 1")
    with RunReader(path) as reader:
        before = reader.averages.summaries()[0].means["deletion"]
        assert before.value == pytest.approx(fmean(values[: len(images)]))
    with begun(path) as writer:
        for image in range(len(images), 4):
            writer.rows.commit(result(row(1, image), of_value(1, image, values[image])))
    assert (1, "deletion", "deletion") not in stored_sums(path)
    with RunReader(path) as reader:
        mean = reader.averages.summaries()[0].means["deletion"]
    assert mean.n == 4
    assert mean.value == pytest.approx(fmean(values), rel=1e-12)
    assert mean.se == pytest.approx(stdev(values) / 2)
