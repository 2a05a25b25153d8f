"""Rows, optional metrics and failures, written with their checksums and running sums."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from evaluator.records import Failure, Measurement, Row, UnitResult
from evaluator.store.checksums import measurement_checksum, row_checksum
from evaluator.store.running_sums import RunningSums
from evaluator.store.sums import ARCC_QUERY, ArccSources
from evaluator.store.writable import WritableFile
from evaluator.text import printable


class RowWriter:
    """Writes what units bring; a row and its share of the sums appear together."""

    def __init__(self, file: WritableFile) -> None:
        self._file = file
        self.sums = RunningSums(file)

    def commit(self, result: UnitResult, *, stage: int | None = None, images: int = 0) -> int:
        """Store what a unit brought: rows, their share of the sums, failures; all or nothing.

        What is there already is dropped: a unit may come twice. A row removes the failure that it
        mends. What was made from another file than the rows of that image before becomes a failure.

        Returns:
            How many rows and measurements were new.
        """
        try:
            return self._store(result, stage, images)
        except BaseException:
            self.sums.forget()
            raise

    def _store(self, result: UnitResult, stage: int | None, images: int) -> int:
        with self._file.transaction():
            result = self._from_the_same_files(result)
            rows = self._new_rows(result.rows)
            measurements = self._new_measurements(result.measurements)
            failures = self._new_failures(result.failures)
            self._insert_sealed(rows, measurements)
            now = {"time": time.time()}
            self._file.insert("failures", (_as_record(f) | now for f in failures))
            self._mend(
                [(r.cell, r.image, "") for r in rows]
                + [(m.cell, m.image, m.metric) for m in measurements]
            )
            self.sums.add(rows, measurements, self._arcc_sources(measurements))
            if stage is not None:
                self._file.execute(
                    "UPDATE stages SET seconds = seconds + ?, timed_images = timed_images + ? "
                    "WHERE id = ?",
                    (result.seconds, images, stage),
                )
        return len(rows) + len(measurements)

    def _from_the_same_files(self, result: UnitResult) -> UnitResult:
        """The result with failures in place of what was made from changed images.

        The content of an image is stored with its first row.
        """
        execute = self._file.execute
        changed: dict[int, str] = {}
        for image, content in result.contents.items():
            path, known = execute(
                "SELECT path, content FROM images WHERE id = ?", (image,)
            ).fetchone()
            if known is None:
                execute("UPDATE images SET content = ? WHERE id = ?", (content, image))
            elif known != content:
                changed[image] = (
                    f"{printable(path, 200)}: its bytes are not those that the run's rows were "
                    "made from"
                )
        if not changed:
            return result
        failures = [
            Failure(r.cell, r.image, "", "changed", changed[r.image])
            for r in result.rows
            if r.image in changed
        ]
        failures += [
            Failure(m.cell, m.image, m.metric, "changed", changed[m.image])
            for m in result.measurements
            if m.image in changed
        ]
        return replace(
            result,
            rows=tuple(row for row in result.rows if row.image not in changed),
            measurements=tuple(m for m in result.measurements if m.image not in changed),
            failures=(*result.failures, *failures),
        )

    def _insert_sealed(self, rows: Sequence[Row], measurements: Sequence[Measurement]) -> None:
        """Insert new rows and measurements with their checksums."""
        execute = self._file.execute
        measured: list[Row | Measurement] = [*rows, *measurements]
        cells, images = {record.cell for record in measured}, {record.image for record in measured}
        query = "SELECT coalesce(identity, '') FROM cells WHERE id = ?"
        identities: dict[int, str] = {
            cell: (execute(query, (cell,)).fetchone() or ("",))[0] for cell in cells
        }
        query = "SELECT path, content FROM images WHERE id = ?"
        files: dict[int, tuple[bytes, bytes | None]] = {
            image: execute(query, (image,)).fetchone() or (b"", None) for image in images
        }

        def origin(measured: Measurement) -> tuple[str, bytes, bytes | None]:
            """Cell and file; neither of a row of version 1, whose file may become known later."""
            path, content = files[measured.image]
            return (identities[measured.cell] if content is not None else ""), path, content

        self._file.insert(
            "results",
            (
                _as_record(row)
                | {"checksum": row_checksum(row, identities[row.cell], *files[row.image])}
                for row in rows
            ),
        )
        self._file.insert(
            "measurements",
            (
                _as_record(one) | {"checksum": measurement_checksum(one, *origin(one))}
                for one in measurements
            ),
        )

    def _new_rows(self, rows: Sequence[Row]) -> list[Row]:
        known = self._known(
            "SELECT 1 FROM results WHERE cell_id = ? AND image_id = ?",
            [(r.cell, r.image) for r in rows],
        )
        return [row for row in rows if (row.cell, row.image) not in known]

    def _new_measurements(self, measurements: Sequence[Measurement]) -> list[Measurement]:
        keys = [(m.cell, m.metric, m.image) for m in measurements]
        known = self._known(
            "SELECT 1 FROM measurements WHERE cell_id = ? AND metric = ? AND image_id = ?", keys
        )
        return [m for m, key in zip(measurements, keys, strict=True) if key not in known]

    def _new_failures(self, failures: Sequence[Failure]) -> list[Failure]:
        keys = [(f.cell, f.image, f.metric) for f in failures]
        known = self._known(
            "SELECT 1 FROM failures WHERE cell_id = ? AND image_id = ? AND metric = ?", keys
        )
        done = self._known(
            "SELECT 1 FROM results WHERE cell_id = ? AND image_id = ? AND ? = ''", keys
        )
        return [
            f for f, key in zip(failures, keys, strict=True) if key not in known and key not in done
        ]

    def _known(self, query: str, keys: Sequence[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
        execute = self._file.execute
        return {key for key in keys if execute(query, key).fetchone() is not None}

    def _mend(self, keys: Sequence[tuple[int, int, str]]) -> None:
        self._file.executemany(
            "DELETE FROM failures WHERE cell_id = ? AND image_id = ? AND metric = ?", keys
        )

    def _arcc_sources(self, measurements: Sequence[Measurement]) -> list[ArccSources]:
        """The sources of the measurements of ARCC among these, all of them stored by now."""
        query = f"{ARCC_QUERY} AND a.cell_id = ? AND a.image_id = ?"
        keys = [(one.cell, one.image) for one in measurements if one.metric == "arcc"]
        return [ArccSources(*row) for key in keys for row in self._file.execute(query, key)]

    def forget_failures_of(self, keys: Sequence[tuple[int, int, str]]) -> None:
        """Drop the failures of these (cell, image, metric), so that they are computed again."""
        with self._file.transaction():
            self._mend(keys)

    def forget_failures(self) -> int:
        """Drop every failure, so that the next session tries those images again.

        Returns how many there were.
        """
        return self._file.execute("DELETE FROM failures").rowcount


_COLUMNS = {
    kind: tuple(field.name for field in fields(kind)) for kind in (Row, Measurement, Failure)
}
_RENAMED = {"cell": "cell_id", "image": "image_id"}


def _as_record(record: Row | Measurement | Failure) -> dict[str, Any]:
    return {_RENAMED.get(name, name): getattr(record, name) for name in _COLUMNS[type(record)]}
