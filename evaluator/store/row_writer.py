"""Rows, optional metrics and failures, written with their checksums and running sums."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evaluator.catalog import value_range
from evaluator.errors import StoreError
from evaluator.records import Failure, Measurement, Row, UnitResult
from evaluator.statistics import exponent_of
from evaluator.store.checksums import (
    WRONG_KIND,
    bins_by_metric,
    histograms_checksum,
    measurement_checksum,
    row_checksum,
    sums_by_key,
    sums_checksum,
)
from evaluator.store.schema import (
    HISTOGRAM_BINS,
    MEASUREMENT_COLUMNS,
    ROW_COLUMNS,
    SUMS_SEALED_SINCE,
)
from evaluator.store.sums import ARCC_QUERY, ArccSources, Deltas, stored_exponents, sums_of
from evaluator.store.writable import WritableFile
from evaluator.text import printable


@dataclass
class _CellSums:
    """Sums and histograms of one cell.

    Attributes:
        sums: (a, b) → n and total.
        bins: metric → images in each bin.
        intact: they fitted their checksum when they were read.
    """

    sums: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    bins: dict[str, list[int]] = field(default_factory=dict)
    intact: bool = True

    def checksums(self) -> tuple[bytes, bytes]:
        """Of the sums, and of the histograms."""
        return sums_checksum(self.sums), histograms_checksum(self.bins)


class RunningSums:
    """Adds rows to the sums of their cells.

    A cell is read once, and what its sums are is known from then on: nobody else writes. Sums that
    did not fit their checksum go on, but never get one that fits: ``doctor`` finds them.
    """

    def __init__(self, file: WritableFile) -> None:
        self._file = file
        self._cells: dict[int, _CellSums] = {}
        self._exponents: dict[tuple[int, str], int | None] | None = None

    def add(
        self,
        rows: Iterable[Row],
        measurements: Iterable[Measurement],
        arcc: Iterable[ArccSources] = (),
    ) -> None:
        """Add what is being stored, in the same transaction."""
        exponents = self._stored_exponents()
        outgrown = {
            key: exponent
            for key, stored in exponents.items()
            if stored is None and (exponent := exponent_of(*value_range(key[1]))) is not None
        }
        sums, bins = sums_of(rows, measurements, arcc, {**exponents, **outgrown})
        for cell in {key[0] for key in sums} - self._cells.keys():
            self._cells[cell] = self._read(cell)
        for key in outgrown.keys() & {(cell, a) for cell, a, _ in sums}:
            sums.update(self._sum_anew(*key))
            exponents[key] = outgrown[key]
        for (cell, a, b), (n, total) in sums.items():
            before = self._cells[cell].sums.get((a, b), (0, 0))
            self._cells[cell].sums[a, b] = (before[0] + n, before[1] + total)
        for (cell, metric, place), n in bins.items():
            self._cells[cell].bins.setdefault(metric, [0] * HISTOGRAM_BINS)[place] += n
        self._file.executemany(
            "INSERT INTO sums (cell_id, a, b, n, total) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = excluded.n, total = excluded.total",
            [(cell, a, b, *self._cells[cell].sums[a, b]) for cell, a, b in sums],
        )
        self._file.executemany(
            "INSERT INTO histograms (cell_id, metric, bin, n) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = excluded.n",
            [(*key, self._cells[key[0]].bins[key[1]][key[2]]) for key in bins],
        )
        self._seal({key[0] for key in sums})

    def rebuild(
        self,
        rows: Iterable[Row],
        measurements: Iterable[Measurement],
        arcc: Iterable[ArccSources] = (),
    ) -> None:
        """Replace all running sums and histograms by those of every row and measurement."""
        with self._file.transaction():
            for table in ("sums", "histograms", "sum_checksums"):
                self._file.execute(f"DELETE FROM {table}")
            self.forget()
            self.add(rows, measurements, arcc)

    def _stored_exponents(self) -> dict[tuple[int, str], int | None]:
        if self._exponents is None:
            found = self._file.execute("SELECT cell_id, a, b FROM sums")
            self._exponents = stored_exponents(found)
        return self._exponents

    def _sum_anew(self, cell: int, metric: str) -> Deltas:
        """The sums of all values of a metric, in place of those that would outgrow 64 bits.

        An earlier version summed metrics of every range in units of 2⁻⁴⁰.
        """
        for b in ("", metric):
            self._file.execute(
                "DELETE FROM sums WHERE cell_id = ? AND a = ? AND b = ?", (cell, metric, b)
            )
            self._cells[cell].sums.pop((metric, b), None)
        found = self._file.execute(
            f"SELECT {MEASUREMENT_COLUMNS} FROM measurements WHERE cell_id = ? AND metric = ?",
            (cell, metric),
        )
        return sums_of([], (Measurement(*one) for one in found))[0]

    def seal_all(self) -> None:
        """Give every cell's sums a checksum as they are, in the caller's transaction."""
        cells = [cell for (cell,) in self._file.execute("SELECT DISTINCT cell_id FROM sums")]
        for cell in cells:
            self._cells[cell] = self._read(cell)
        self._seal(cells)

    def unseal(self, cells: Iterable[int]) -> None:
        """Give cells checksums that no sums fit, until a rebuild; in the caller's transaction."""
        self._file.executemany(
            "INSERT INTO sum_checksums (cell_id, sums, histograms)"
            " SELECT id, x'', x'' FROM cells WHERE id = ?"
            " ON CONFLICT DO UPDATE SET sums = excluded.sums, histograms = excluded.histograms",
            [(cell,) for cell in cells],
        )
        self.forget()

    def forget(self) -> None:
        """Read the cells anew: what was added to them has not been stored."""
        self._cells.clear()
        self._exponents = None

    def _read(self, cell: int) -> _CellSums:
        execute = self._file.execute
        sums = execute("SELECT a, b, n, total FROM sums WHERE cell_id = ?", (cell,))
        bins = execute("SELECT metric, bin, n FROM histograms WHERE cell_id = ?", (cell,))
        try:
            found = _CellSums(sums_by_key(sums), bins_by_metric(bins))
            checksums = found.checksums()
        except (LookupError, *WRONG_KIND) as error:
            path = printable(self._file.path)
            raise StoreError(
                f"{path}: running sums are not what was written",
                f"rebuild them from the rows: camtui doctor {path} --repair",
            ) from error
        stored = execute(
            "SELECT sums, histograms FROM sum_checksums WHERE cell_id = ?", (cell,)
        ).fetchone()
        if stored is not None:
            found.intact = stored == checksums
        elif found.sums:
            found.intact = execute("SELECT born FROM run").fetchone()[0] < SUMS_SEALED_SINCE
        return found

    def _seal(self, cells: Iterable[int]) -> None:
        self._file.executemany(
            "INSERT INTO sum_checksums (cell_id, sums, histograms) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET sums = excluded.sums, histograms = excluded.histograms",
            [(cell, *self._cells[cell].checksums()) for cell in cells if self._cells[cell].intact],
        )


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
            rows = [r for r in result.rows if not self._is_there("results", r.cell, r.image)]
            measurements = [
                m
                for m in result.measurements
                if not self._is_there("measurements", m.cell, m.image, m.metric)
            ]
            failures = [
                f
                for f in result.failures
                if not self._is_there("failures", f.cell, f.image, f.metric)
                and (f.metric or not self._is_there("results", f.cell, f.image))
            ]
            self._insert_sealed(rows, measurements)
            now = time.time()
            self._insert(
                "failures (cell_id, image_id, metric, reason, detail, time)",
                [(f.cell, f.image, f.metric, f.reason, f.detail, now) for f in failures],
            )
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
        keys = [(row.cell, row.image, "") for row in result.rows]
        keys += [(one.cell, one.image, one.metric) for one in result.measurements]
        failures = [Failure(*key, "changed", changed[key[1]]) for key in keys if key[1] in changed]
        return replace(
            result,
            rows=tuple(row for row in result.rows if row.image not in changed),
            measurements=tuple(m for m in result.measurements if m.image not in changed),
            failures=(*result.failures, *failures),
        )

    def _insert_sealed(self, rows: Sequence[Row], measurements: Sequence[Measurement]) -> None:
        """Insert new rows and measurements with their checksums."""
        measured: list[Row | Measurement] = [*rows, *measurements]
        cells, images = {one.cell for one in measured}, {one.image for one in measured}
        query = "SELECT coalesce(identity, '') FROM cells WHERE id = ?"
        identities: dict[int, str] = {cell: self._first(query, cell, ("",))[0] for cell in cells}
        query = "SELECT path, content FROM images WHERE id = ?"
        files = {image: self._first(query, image, (b"", None)) for image in images}
        self._insert(
            f"results ({ROW_COLUMNS}, checksum)",
            [(*row, row_checksum(row, identities[row.cell], *files[row.image])) for row in rows],
        )

        def origin(measured: Measurement) -> tuple[str, bytes, bytes | None]:
            """Cell and file; neither of a row of version 1, whose file may become known later."""
            path, content = files[measured.image]
            return (identities[measured.cell] if content is not None else ""), path, content

        self._insert(
            f"measurements ({MEASUREMENT_COLUMNS}, checksum)",
            [(*one, measurement_checksum(one, *origin(one))) for one in measurements],
        )

    def _first(self, query: str, key: int, default: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._file.execute(query, (key,)).fetchone() or default

    def _insert(self, columns: str, records: Sequence[tuple[Any, ...]]) -> None:
        """Insert records into a table, named with its columns."""
        marks = ", ".join("?" * (columns.count(",") + 1))
        self._file.executemany(f"INSERT INTO {columns} VALUES ({marks})", records)

    def _is_there(self, table: str, cell: int, image: int, metric: str | None = None) -> bool:
        query = f"SELECT 1 FROM {table} WHERE cell_id = ? AND image_id = ?"
        if metric is None:
            found = self._file.execute(query, (cell, image))
        else:
            found = self._file.execute(f"{query} AND metric = ?", (cell, image, metric))
        return found.fetchone() is not None

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
