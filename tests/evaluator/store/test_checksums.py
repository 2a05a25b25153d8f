"""Checksums: every field counts, and a change of any is found by whoever computes from the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from evaluator.errors import Mismatch, StoreError
from evaluator.records import Measurement, Row
from evaluator.store import audit
from evaluator.store.checksums import (
    histograms_checksum,
    is_sound,
    measurement_checksum,
    record_checksum,
    row_checksum,
    sealed_tables,
    sums_checksum,
)
from evaluator.store.reader import RunReader
from evaluator.store.schema import MIGRATIONS
from evaluator.store.writer import RunWriter
from tests.evaluator.store.runs import (
    begun,
    change,
    empty_run,
    failure,
    measurement,
    problems,
    raw,
    result,
    row,
)

FIRST, SECOND = sha256(b"first").digest(), sha256(b"second").digest()


CHECKED = (
    "run", "backbones", "cells", "images", "results", "measurements", "failures", "stages",
)  # fmt: skip


def test_every_field_of_a_row_counts() -> None:
    one = row(1, 2)
    sealed = row_checksum(one, "cell", b"a.png", FIRST)
    for name in Row._fields:
        value: Any = getattr(one, name)
        other: Any = (
            value + b"\0"
            if isinstance(value, bytes)
            else not value
            if isinstance(value, bool)
            else value + 1
        )
        assert row_checksum(one._replace(**{name: other}), "cell", b"a.png", FIRST) != sealed, name
    for owner in (
        ("CELL", b"a.png", FIRST),
        ("cell", b"b.png", FIRST),
        ("cell", b"a.png", SECOND),
        ("cell", b"a.png", None),
    ):
        assert row_checksum(one, *owner) != sealed
    assert row_checksum(one._replace(map=None), "cell", b"a.png", FIRST) != row_checksum(
        one._replace(map=b""), "cell", b"a.png", FIRST
    )


def test_every_field_of_a_measurement_counts() -> None:
    one = measurement(1, 2)
    sealed = measurement_checksum(one, "cell", b"a.png", FIRST)
    for name in Measurement._fields:
        value: Any = getattr(one, name)
        other: Any = value + type(value)(1) if isinstance(value, int | float) else value + value[:1]
        assert (
            measurement_checksum(one._replace(**{name: other}), "cell", b"a.png", FIRST) != sealed
        ), name


def test_a_value_of_the_wrong_kind_is_no_row_of_ours() -> None:
    checksum, record = row_checksum(row(1, 2), "", b"", None), row(1, 2)
    owner: tuple[str, bytes, None] = ("", b"", None)
    assert is_sound(record, checksum, *owner, may_lack=False)
    assert not is_sound([*record[:4], "0.5", *record[5:]], checksum, *owner, may_lack=False)
    assert not is_sound([*record[:-2], 2, record[-1]], checksum, *owner, may_lack=False)
    assert not is_sound(record, None, *owner, may_lack=False)
    assert is_sound(record, None, *owner, may_lack=True)


def test_sums_have_one_checksum_in_any_order() -> None:
    sums = {("adcc", ""): (3, 7), ("adcc", "adcc"): (3, 5)}
    checksum = sums_checksum(sums)
    assert checksum == sums_checksum(dict(reversed(sums.items())))
    others: list[dict[tuple[str, str], tuple[int, int]]] = [
        {},
        {("adcc", ""): (3, 7)},
        sums | {("adcc", ""): (3, 8)},
        {("adc", "c"): (3, 7), ("adcc", "adcc"): (3, 5)},
    ]
    assert len({checksum, *map(sums_checksum, others)}) == 5


def test_histograms_have_one_checksum_in_any_order() -> None:
    bins = {"adcc": [0, 2, 1], "coherency": [1, 0, 2]}
    checksum = histograms_checksum(bins)
    assert checksum == histograms_checksum(dict(reversed(bins.items())))
    others = [{}, {"adcc": [0, 2, 1]}, bins | {"adcc": [2, 0, 1]}]
    assert len({checksum, *map(histograms_checksum, others)}) == 4


def test_a_record_is_its_names_and_values() -> None:
    assert record_checksum("a", 1, "b", None) == record_checksum("a", 1)
    different = [("a", 1), ("a", 1.0), ("a", "1"), ("a", b"1"), ("b", 1), ("a", 1, "b", 1)]
    assert len({record_checksum(*columns) for columns in different}) == len(different)


def columns_of(table: str) -> Iterator[str]:
    with closing(sqlite3.connect(":memory:")) as empty:
        for script in MIGRATIONS:
            empty.executescript(script)
        yield from (name for _, name, *_ in empty.execute(f"PRAGMA table_info({table})").fetchall())


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, column)
        for table in CHECKED
        for column in columns_of(table)
        if (table, column) != ("run", "id")
    ],
)
def test_a_change_of_any_column_is_found(stored: Path, table: str, column: str) -> None:
    assert problems(stored) == []
    with closing(sqlite3.connect(stored, isolation_level=None)) as connection:
        (kind,) = connection.execute(
            "SELECT type FROM pragma_table_info(?) WHERE name = ?", (table, column)
        ).fetchone()
        new = {
            "INTEGER": "coalesce(max({0}), 0) + 7",
            "REAL": "coalesce({0}, 0) + 0.25",
            "TEXT": "coalesce({0}, '') || ' '",
        }
        value = new.get(kind, "cast(coalesce({0}, x'00') || x'01' AS BLOB)").format(column)
        if kind == "INTEGER":
            value = f"(SELECT {value} FROM {table})"
        key = "rowid" if table not in ("results", "measurements", "failures") else "image_id"
        place = f"WHERE {key} = (SELECT max({key}) FROM {table})"
        assert (
            connection.execute(f"UPDATE OR REPLACE {table} SET {column} = {value} {place}").rowcount
            > 0
        )
    assert problems(stored)


def test_every_table_is_under_seal_or_summed(stored: Path) -> None:
    with closing(sqlite3.connect(stored)) as connection:
        sealed = {table.name for table in sealed_tables(connection)}
        tables = {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
    assert tables - sealed == {"results", "measurements", "sums", "histograms", "sum_checksums"}


def test_repair_drops_what_is_damaged_and_never_sums_it(stored: Path) -> None:
    change(
        stored,
        "UPDATE results SET coherency = 1, average_drop = 0 WHERE cell_id = 1 AND image_id = 3",
    )
    change(
        stored,
        "UPDATE measurements SET value = 1 WHERE cell_id = 2 AND image_id = 4 AND metric = "
        "'deletion'",
    )
    before = raw(stored, "SELECT count(*) FROM measurements WHERE cell_id = 1 AND image_id = 3")[0][
        0
    ]
    assert before
    assert audit.repair(stored) == 1 + before + 1
    assert problems(stored) == []
    assert raw(stored, "SELECT 1 FROM results WHERE cell_id = 1 AND image_id = 3") == []
    assert raw(stored, "SELECT 1 FROM results WHERE cell_id = 2 AND image_id = 4") == [(1,)]
    assert raw(stored, "SELECT state FROM run") == [("stopped",)]


def test_whoever_verifies_stops_at_damage(stored: Path) -> None:
    change(stored, "UPDATE results SET y = 0.5, o = 0.75 WHERE cell_id = 1 AND image_id = 3")
    with RunReader(stored) as reader:
        assert len(list(reader.rows.of_cell(2, verify=True))) == len(list(reader.rows.of_cell(2)))
        with pytest.raises(
            StoreError, match="the row of image 3 in resnet18/gradcam is not what was written"
        ):
            list(reader.rows.of_cell(1, verify=True))
        maps, damaged = reader.rows.stored_maps([1, 2], 0, 5)
    assert damaged == {(1, 3)}
    assert (1, 3) not in maps
    assert (2, 3) in maps


def test_a_changed_image_becomes_a_failure_with_its_name(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(replace(result(row(1, 0), row(1, 1)), contents={0: FIRST, 1: FIRST}))
        changed = replace(
            result(row(2, 0), row(2, 1), measurement(1, 1)), contents={0: FIRST, 1: SECOND}
        )
        assert writer.rows.commit(changed) == 1
    with RunReader(path) as reader:
        assert [(f.cell, f.image, f.metric, f.reason) for f in reader.failures()] == [
            (1, 1, "deletion", "changed"),
            (2, 1, "", "changed"),
        ]
        assert "caf\u00e9/\\xff\\x80.png" in reader.failures()[0].detail
        assert [image.content for image in reader.images.between(0, 3)] == [
            FIRST,
            FIRST,
            None,
            None,
        ]
    assert problems(path) == []


def test_a_row_of_another_image_s_file_is_not_sound(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(replace(result(row(1, 0)), contents={0: FIRST}))
    assert problems(path) == []
    with begun(path) as writer:
        writer.execute(
            "UPDATE images SET content = ?", (SECOND,)
        )  # a tool that keeps the image's own checksum right
    assert problems(path) == ["resnet18/gradcam, image 0: the row is not what was written"]


def test_a_cell_with_rows_stays_what_it_is(path: Path) -> None:
    with begun(path) as writer:
        writer.cells.describe(1, identity="one", applicable=True, note="")
        writer.cells.describe(1, identity="two", applicable=True, note="")
        writer.rows.commit(result(row(1, 0)))
        writer.cells.describe(1, identity="two", applicable=True, note="again")
        with pytest.raises(Mismatch, match="gradcam is not what the run's rows were computed with"):
            writer.cells.describe(1, identity="three", applicable=True, note="")
    assert problems(path) == []


def test_what_the_writer_changes_later_stays_under_seal(path: Path) -> None:
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), failure(1, 1)))
        writer.set_labels([(0, 5)])
        writer.heartbeat()
        writer.set_state("stopped", "because")
        writer.event("info", "café")
        writer.rows.forget_failures()
    assert problems(path) == []


def test_the_writer_s_triggers_are_no_part_of_the_file(path: Path) -> None:
    empty_run(path)
    assert raw(path, "SELECT * FROM sqlite_schema WHERE type = 'trigger'") == []
    RunWriter(path).close()
