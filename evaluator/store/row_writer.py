"""A run's file, open for writing: made, checked to be ours, brought to this version; and its rows.

Rows, optional metrics and failures are written with their checksums and running sums.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from evaluator.catalog import value_range
from evaluator.errors import StoreError, UsageError
from evaluator.records import Failure, Measurement, Row, UnitResult
from evaluator.statistics import exponent_of
from evaluator.store import schema
from evaluator.store.checksums import (
    WRONG_KIND,
    bins_by_metric,
    histograms_checksum,
    keep_sealed,
    measurement_checksum,
    name_anew,
    row_checksum,
    sums_by_key,
    sums_checksum,
)
from evaluator.store.disk_space import is_full
from evaluator.store.files import beside, open_own, real, refuse_foreign
from evaluator.store.schema import (
    HISTOGRAM_BINS,
    MEASUREMENT_COLUMNS,
    ROW_COLUMNS,
    SUMS_SEALED_SINCE,
)
from evaluator.store.sums import ARCC_QUERY, ArccSources, Deltas, stored_exponents, sums_of
from evaluator.text import printable


class WritableFile:
    """The one connection that writes to a run. The caller holds ``files.RunLock``.

    Attributes:
        path: the file.
        connection: SQLite's own, as are ``execute`` and ``executemany``.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, create it where there is none, and bring an older one to this version.

        Raises:
            UsageError: the folder cannot be written.
            StoreError: not a run of ours, or one from a newer camtui.
            sqlite3.OperationalError: the disk is full.
        """
        self.path = path
        self.connection = _connected(path)
        self.execute, self.executemany = self.connection.execute, self.connection.executemany
        self._database = Database(self.connection, execute_plugins=False)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self.close()
            if is_full(error):
                raise
            raise StoreError(
                f"{printable(path)} cannot be used as a run: {printable(error)}",
                "choose another --db",
            ) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        execute = self.execute
        (version,) = execute("PRAGMA user_version").fetchone()
        if execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            refuse_foreign(self.connection, self.path, "choose another --db")
        execute("PRAGMA trusted_schema=OFF")
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA foreign_keys=ON")
        if 0 < version < schema.SCHEMA_VERSION:
            _back_up(self.connection, self.path, version)
        execute("PRAGMA temp.auto_vacuum=FULL")  # temporary tables that are dropped free their room
        with self.transaction():
            if version < schema.SCHEMA_VERSION:  # setting a number anew would change the file
                for script in schema.MIGRATIONS[version:]:
                    for statement in script.split(";\n"):
                        execute(statement)
                if 0 < version < schema.NAMED_ANEW_SINCE:
                    name_anew(self.connection)
                execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
                execute(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
        keep_sealed(self.connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """``BEGIN IMMEDIATE`` … ``COMMIT``: the write lock is taken before the first read."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        finally:
            if self.connection.in_transaction:  # also where COMMIT itself found the disk full
                self.execute("ROLLBACK")

    def insert(self, table: str, records: Iterable[dict[str, Any]], **how: Any) -> None:
        """Insert records, which all have the same columns; ``how`` is sqlite-utils'."""
        self._database[table].insert_all(records, **how)  # type: ignore[union-attr]

    def fold_in(self) -> None:
        """Bring everything committed into the file itself.

        A copy without its write-ahead log is a run then, if not all of it.
        """
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Fold the write-ahead log in, also where somebody still reads, and close the file."""
        with suppress(sqlite3.Error):  # a full disk, a reader that stays: the log stays too
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()


def _connected(path: Path) -> sqlite3.Connection:
    place = real(path)
    try:
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        return sqlite3.connect(place, timeout=10, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"cannot write {printable(path)}: {printable(error)}",
            "choose another place: --db PATH",
        ) from error


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Copy the whole file before it is changed: ``NAME.db.v1``, or the next name that is free."""
    for number in count(1):
        target = beside(path, f".v{version}" if number == 1 else f".v{version}-{number}")
        if not os.path.lexists(target):
            break
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    os.close(open_own(target, flags, owner=os.stat(path).st_uid))
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


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
