"""Everybody else's view of a run: read-only, never creates, never blocks the writer. The file may be hostile.

Plain ``sqlite3``: importing sqlite-utils brings numpy along and costs 180 ms, more than a whole ``camtui status`` may take.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from evaluator import catalog
from evaluator.catalog import ROW_METRICS
from evaluator.errors import NotFound, StoreError, UsageError
from evaluator.plan import RunPlan
from evaluator.records import (
    Cell,
    Event,
    Failure,
    ImageRef,
    LoadedBackbone,
    Measurement,
    Row,
    RunInfo,
    Stage,
    StoredMap,
    WorkerState,
)
from evaluator.statistics import UNIT, CellSummary, PairedDifference, Sum, Sums, paired_difference, summarise
from evaluator.store import schema
from evaluator.text import printable

_ROW_COLUMNS = (
    "cell_id, image_id, target, predicted, y, o, average_drop, average_increase, coherency, complexity, adcc, degenerate, map"
)

_CACHE_KIB = 32_000
"""A cell of 50 000 images with its maps fits: scanning it again takes half as long as with SQLite's 2 MB (no memory map: a file
that is cut short under it would kill the process)."""


class RankedImage(NamedTuple):
    """One place in a list of worst or best images; ``(value, image)`` is the key to the next page."""

    image: int
    value: float


class ConvergencePoint(NamedTuple):
    """The components of one image in evaluation order: what convergence is drawn from."""

    average_drop: float
    coherency: float
    complexity: float


class RunReader:
    """A run's file, open for reading. Every method is one short transaction."""

    def __init__(self, path: Path) -> None:
        """Open an existing run.

        Raises:
            NotFound: no such file.
            StoreError: not a run of ours, or one from a newer camtui.
        """
        self.path = path
        if not path.is_file():
            raise NotFound(f"no such run file: {printable(path)}", "list the runs: camtui ls")
        self._connection = self._open("mode=ro")
        try:
            self._check()
        except sqlite3.OperationalError as error:
            self.close()
            self._connection = self._open_immutable(error)
            self._check()
        except sqlite3.DatabaseError as error:
            self.close()
            raise StoreError(
                f"{printable(path)} is not a run of camtui: {printable(error)}", "list the runs: camtui ls"
            ) from error

    def _open(self, how: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path.absolute()).encode('utf-8', 'surrogateescape'))}?{how}"
        connection = sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        return connection

    def _open_immutable(self, error: sqlite3.OperationalError) -> sqlite3.Connection:
        """A finished run in a folder that cannot be written: SQLite needs to be told that nobody writes."""
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise StoreError(f"cannot read {printable(self.path)}: {printable(error)}", "copy it, with its -wal file, elsewhere")
        return self._open("mode=ro&immutable=1")

    def _check(self) -> None:
        (application,) = self._one("PRAGMA application_id")
        (version,) = self._one("PRAGMA user_version")
        if application != schema.APPLICATION_ID:
            self.close()
            raise StoreError(f"{printable(self.path)} is a database, but not a run of camtui", "list the runs: camtui ls")
        if version > schema.SCHEMA_VERSION:
            self.close()
            raise StoreError(
                f"{printable(self.path)} is of version {version}; this camtui knows {schema.SCHEMA_VERSION}",
                "pip install --upgrade camtui",
            )
        if self._connection.execute("SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger')").fetchone():
            self.close()
            raise StoreError(f"{printable(self.path)} holds code (views or triggers), which no run of camtui does", "camtui ls")
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")

    def _one(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        if row is None:
            raise StoreError(f"{printable(self.path)} holds no run yet", "camtui run starts one")
        return row

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Everything that is asked within it is answered from the file as it stood at one moment."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:  # not where SQLite itself has given up on it
                self._connection.execute("ROLLBACK")

    # -- the run ---------------------------------------------------------------------------------------------------------------

    def data_version(self) -> int:
        """Changes when the file has changed since this connection last looked: an idle tick costs this and no more."""
        return int(self._one("PRAGMA data_version")[0])

    def info(self) -> RunInfo:
        """State, times and counts."""
        row = self._one(
            "SELECT name, state, message, created, started, finished, heartbeat, pid, host, image_count, versions FROM run"
        )
        return RunInfo(*[*row[:-1], json.loads(row[-1])])

    def plan(self) -> RunPlan:
        """The plan as it stands, with everything that later requests added.

        Raises:
            StoreError: what is stored is no plan.
        """
        (text,) = self._one("SELECT plan FROM run")
        try:
            return RunPlan.from_json(text)
        except (ValueError, UsageError) as error:
            raise StoreError(
                f"{printable(self.path)} holds no plan: {printable(error, 160)}", "list the runs: camtui ls"
            ) from error

    def manifest_sha256(self) -> str:
        """Identity of the data set: every path and size, whatever the limit."""
        return str(self._one("SELECT manifest_sha256 FROM run")[0])

    def backbones(self) -> dict[str, LoadedBackbone | None]:
        """Backbones by name, in the plan's order; ``None`` until one has been loaded once."""
        rows = self._all("SELECT name, loaded FROM backbones ORDER BY id")
        return {name: _loaded(json.loads(text)) if text else None for name, text in rows}

    def cells(self) -> list[Cell]:
        """Every cell, backbones in the plan's order, methods as they were asked for."""
        return [
            Cell(id_, backbone, method, bool(applicable), note)
            for id_, backbone, method, applicable, note in self._all(
                "SELECT c.id, b.name, c.method, c.applicable, c.note FROM cells c JOIN backbones b ON b.id = c.backbone_id"
                " ORDER BY b.id, c.id"
            )
        ]

    def stages(self) -> list[Stage]:
        """Stretches of work in order, with what is done; an image counts once all cells of the stage have or have failed it."""
        (total,) = self._one("SELECT image_count FROM run")
        done = self._done()
        stages = []
        for id_, title, backbone, cells, metrics, forwards, seconds, timed in self._all(
            "SELECT s.id, title, b.name, s.cells, metrics, forwards_per_image, seconds, timed_images"
            " FROM stages s JOIN backbones b ON b.id = s.backbone_id ORDER BY s.id"
        ):
            ids, names = tuple(json.loads(cells)), tuple(json.loads(metrics))
            parts = [done.get((cell, metric), 0) for cell in ids for metric in (names or ("",))]
            finished = sum(parts) // len(parts) if parts else total
            stages.append(Stage(id_, title, backbone, ids, names, total, finished, seconds, timed, forwards))
        return stages

    def _done(self) -> dict[tuple[int, str], int]:
        """(cell, metric) → values and failures; metric ``''`` for rows. An image without a row has no curves either."""
        failed = {(cell, metric): n for cell, metric, n in self._all(
            "SELECT cell_id, metric, count(*) FROM failures GROUP BY cell_id, metric"
        )}  # fmt: skip
        done = dict(failed)
        cells = self._all("SELECT id FROM cells")
        curves = {(cell, metric) for metric in catalog.curve_metrics() for (cell,) in cells}
        for key in curves:
            done[key] = failed.get(key, 0) + failed.get((key[0], ""), 0)
        for cell, name, n in self._all("SELECT cell_id, a, n FROM sums WHERE b = ''"):
            key = (cell, "" if name == "degenerate" else name)
            done[key] = done.get(key, 0) + n
        return done

    def workers(self) -> list[WorkerState]:
        """The workers of the running session as the driver last saw them."""
        columns = "id, device, pid, state, heartbeat, restarts, utilisation, memory_used, memory_total, power, temperature"
        return [WorkerState(*row) for row in self._all(f"SELECT {columns} FROM workers ORDER BY id")]

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """The newest ``limit`` events with an id above ``after``, oldest first."""
        rows = self._all("SELECT id, time, level, text FROM events WHERE id > ? ORDER BY id DESC LIMIT ?", (after, limit))
        return [Event(*row) for row in reversed(rows)]

    def failures(self, cell: int | None = None, limit: int = -1) -> list[Failure]:
        """What has no value, and why."""
        return [
            Failure(*row)
            for row in self._all(
                "SELECT cell_id, image_id, metric, reason, detail FROM failures WHERE ?1 IS NULL OR cell_id = ?1"
                " ORDER BY image_id, cell_id, metric LIMIT ?2",
                (cell, limit),
            )
        ]

    def failure_count(self) -> int:
        """How many (cell, image) pairs have failed, curves included."""
        return int(self._one("SELECT count(*) FROM failures")[0])

    # -- averages --------------------------------------------------------------------------------------------------------------

    def summaries(self) -> list[CellSummary]:
        """One summary per cell, from the running sums: a few dozen rows whatever the number of images."""
        with self.moment():
            failed = dict(self._all("SELECT cell_id, count(*) FROM failures WHERE metric = '' GROUP BY cell_id"))
            sums: dict[int, dict[tuple[str, str], Sum]] = {cell: {} for (cell,) in self._all("SELECT id FROM cells ORDER BY id")}
            for cell, a, b, n, total in self._all(
                "SELECT cell_id, a, b, n, total FROM sums WHERE cell_id IN (SELECT id FROM cells)"
            ):
                sums[cell][a, b] = Sum(n, total * UNIT)
            return [summarise(cell, parts, failed.get(cell, 0), self._without_drop(cell, parts)) for cell, parts in sums.items()]

    def _without_drop(self, cell: int, sums: Sums) -> list[tuple[float, float]]:
        """Coherency and complexity of the rows whose drop is undefined: hardly ever any, and the index on ADCC finds them."""
        rows, drops = sums.get(("coherency", "")), sums.get(("average_drop", ""))
        if rows is None or (drops is not None and drops.n == rows.n):
            return []
        return self._all(
            "SELECT coherency, complexity FROM results WHERE cell_id = ? AND adcc IS NULL AND average_drop IS NULL", (cell,)
        )

    def histogram(self, cell: int, metric: str) -> list[int]:
        """Images per bin, ``schema.HISTOGRAM_BINS`` equal bins of [0, 1]."""
        bins = [0] * schema.HISTOGRAM_BINS
        for place, n in self._all(
            "SELECT bin, n FROM histograms WHERE cell_id = ? AND metric = ? AND bin BETWEEN 0 AND ?",
            (cell, metric, len(bins) - 1),
        ):
            bins[place] = n
        return bins

    def convergence(self, cell: int) -> Iterator[ConvergencePoint]:
        """The components of every image of a cell in evaluation order, rows with an undefined drop left out."""
        cursor = self._connection.execute(
            "SELECT average_drop, coherency, complexity FROM results WHERE cell_id = ? AND average_drop IS NOT NULL"
            " ORDER BY image_id",
            (cell,),
        )
        return (ConvergencePoint(*row) for row in cursor)

    def paired(self, metric: str, first: int, second: int) -> PairedDifference | None:
        """Paired difference of two cells over their common images; reads both cells: not for every tick."""
        if metric == "adcc":
            names = ("average_drop", "coherency", "complexity")
            columns = ", ".join(f"{side}.{name}" for side in "fs" for name in names)
            rows = self._all(
                f"SELECT {columns} FROM results f JOIN results s USING (image_id)"
                " WHERE f.cell_id = ? AND s.cell_id = ? AND f.average_drop NOTNULL AND s.average_drop NOTNULL",
                (first, second),
            )
            pairs = ((dict(zip(names, row[:3], strict=True)), dict(zip(names, row[3:], strict=True))) for row in rows)
            return paired_difference(metric, pairs)
        if metric in ROW_METRICS:
            rows = self._all(
                f"SELECT f.{metric}, s.{metric} FROM results f JOIN results s USING (image_id)"
                f" WHERE f.cell_id = ? AND s.cell_id = ? AND f.{metric} NOTNULL AND s.{metric} NOTNULL",
                (first, second),
            )
        else:
            rows = self._all(
                "SELECT f.value, s.value FROM measurements f JOIN measurements s USING (metric, image_id)"
                " WHERE f.cell_id = ? AND s.cell_id = ? AND metric = ?",
                (first, second, metric),
            )
        return paired_difference(metric, (({metric: a}, {metric: b}) for a, b in rows))

    # -- images and rows -------------------------------------------------------------------------------------------------------

    def image(self, image: int) -> ImageRef:
        """One image of the manifest.

        Raises:
            NotFound: the run has no image of that rank.
        """
        row = self._connection.execute("SELECT id, path, size, label FROM images WHERE id = ?", (image,)).fetchone()
        if row is None:
            raise NotFound(f"the run has no image {image}", "camtui worst RUN lists images")
        return ImageRef(*row)

    def images(self, first: int, last: int) -> list[ImageRef]:
        """The images of rank first to last, both included."""
        return [
            ImageRef(*row)
            for row in self._all("SELECT id, path, size, label FROM images WHERE id BETWEEN ? AND ?", (first, last))
        ]

    def find_image(self, text: str) -> ImageRef:
        """An image by rank, by path, or by file name.

        Raises:
            NotFound: none, or more than one.
        """
        if text.isdecimal():
            return self.image(int(text))
        exact = self._all("SELECT id, path, size, label FROM images WHERE path = ?", (text.encode("utf-8", "surrogateescape"),))
        rows = exact or [
            row
            for row in self._all("SELECT id, path, size, label FROM images")
            if text in row[1].decode("utf-8", "surrogateescape")
        ]
        if len(rows) != 1:
            raise NotFound(f"{len(rows) or 'no'} images match '{printable(text)}'", "give its number or its whole path")
        return ImageRef(*rows[0])

    def row(self, cell: int, image: int) -> Row | None:
        """One image in one cell, ``None`` while there is no row."""
        found = self._connection.execute(
            f"SELECT {_ROW_COLUMNS} FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
        ).fetchone()
        return _row(found) if found else None

    def rows(self, cell: int) -> Iterator[tuple[Row, ImageRef, dict[str, float]]]:
        """Every row of a cell in image order, with its image and its curve metrics; streams."""
        cursor = self._connection.execute(
            f"SELECT {_ROW_COLUMNS}, i.id, i.path, i.size, i.label FROM results JOIN images i ON i.id = image_id"
            " WHERE cell_id = ? ORDER BY image_id",
            (cell,),
        )
        curves = {
            name: self._connection.execute(
                "SELECT image_id, value FROM measurements WHERE cell_id = ? AND metric = ? ORDER BY image_id", (cell, name)
            )
            for (name,) in self._all("SELECT DISTINCT metric FROM measurements WHERE cell_id = ?", (cell,))
        }
        heads = {name: next(values, None) for name, values in curves.items()}
        for record in cursor:
            row = _row(record[:13])
            measured: dict[str, float] = {}
            for name, values in curves.items():
                head = heads[name]
                while head is not None and head[0] < row.image:
                    head = next(values, None)
                if head is not None and head[0] == row.image:
                    measured[name] = head[1]
                heads[name] = head
            yield row, ImageRef(*record[13:]), measured

    def measurements(self, cell: int, image: int) -> dict[str, Measurement]:
        """The curve metrics of one image in one cell, with their curves."""
        rows = self._all(
            "SELECT cell_id, image_id, metric, value, curve FROM measurements WHERE cell_id = ? AND image_id = ?", (cell, image)
        )
        return {row[2]: Measurement(*row) for row in rows}

    def ranked(
        self, cell: int, metric: str, *, ascending: bool, limit: int, after: RankedImage | None = None
    ) -> list[RankedImage]:
        """A page of the images of a cell by one metric; ties by image.

        ADCC has an index. The others scan the cell, for with an index on each a commit of 180 rows would write 2.8 MB in place
        of 0.8 MB; the histogram tells beforehand which bins the page must lie in, so that next to nothing is sorted.

        Args:
            after: the last entry of the page before; the next page continues behind it, by key, not by offset.
        """
        table, column, where = self._metric_source(metric)
        order, beyond = ("ASC", ">") if ascending else ("DESC", "<")
        condition = f" AND ({column}, image_id) {beyond} (?, ?)" if after else ""
        values: list[Any] = [cell, *([metric] if where else [])]
        values += [after.value, after.image] if after else []

        def page(which: str, *edge: float) -> list[RankedImage]:
            rows = self._all(
                f"SELECT image_id, {column} FROM {table} WHERE cell_id = ?{where}{condition} AND {column} {which}"
                f" ORDER BY {column} {order}, image_id {order} LIMIT ?",
                [*values, *edge, limit],
            )
            return [RankedImage(*row) for row in rows]

        edge = None if metric == "adcc" else self._bin_edge(cell, metric, ascending, limit, after)
        if edge is not None:
            found = page("< ?" if ascending else ">= ?", edge)
            if len(found) == limit:  # else the histogram is not that of the rows: ``camtui doctor``
                return found
        return page("NOTNULL")

    def _bin_edge(self, cell: int, metric: str, ascending: bool, limit: int, after: RankedImage | None) -> float | None:
        """The edge of the bins that hold the next ``limit`` images for certain; ``None`` where there are not so many."""
        bins = self.histogram(cell, metric)
        order = range(len(bins)) if ascending else range(len(bins) - 1, -1, -1)
        begun = schema.histogram_bin(after.value) if after else None
        known = 0
        for place in order:
            if begun is None or (place > begun if ascending else place < begun):
                known += bins[place]
            if known >= limit:
                return schema.least_of_bin(place + 1 if ascending else place)
        return None

    def rank_of(self, cell: int, metric: str, image: int, *, ascending: bool) -> tuple[int, int] | None:
        """``(place from 1, images ranked)`` of an image, ``None`` where it has no value."""
        table, column, where = self._metric_source(metric)
        key: list[Any] = [cell, *([metric] if where else [])]
        scope = f"FROM {table} WHERE cell_id = ?{where} AND {column} NOTNULL"
        value = self._connection.execute(f"SELECT {column} {scope} AND image_id = ?", [*key, image]).fetchone()
        if value is None:
            return None
        beyond = "<" if ascending else ">"
        before, total = self._one(
            f"SELECT count(*) FILTER (WHERE ({column}, image_id) {beyond} (?, ?)), count(*) {scope}", [value[0], image, *key]
        )
        return before + 1, total

    def _metric_source(self, metric: str) -> tuple[str, str, str]:
        if metric in ROW_METRICS:
            return "results", metric, ""
        if not self._connection.execute("SELECT 1 FROM measurements WHERE metric = ? LIMIT 1", (metric,)).fetchone():
            raise UsageError(f"the run has no metric '{printable(metric)}'", "camtui table RUN shows those it has")
        return "measurements", "value", " AND metric = ?"

    # -- for an audit -----------------------------------------------------------------------------------------------------------

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file itself: nothing, as a rule. Reads all of it."""
        found = [str(line) for (line,) in self._all("PRAGMA integrity_check(20)") if line != "ok"]
        return found + [f"{row[0]}: a row without its {row[2]}" for row in self._all("PRAGMA foreign_key_check")[:20]]

    def raw_sums(self) -> dict[tuple[int, str, str], tuple[int, int]]:
        """The running sums as stored: (cell, a, b) → (n, total in units of 2⁻⁴⁰)."""
        return {(cell, a, b): (n, total) for cell, a, b, n, total in self._all("SELECT cell_id, a, b, n, total FROM sums")}

    def raw_histograms(self) -> dict[tuple[int, str, int], int]:
        """The histograms as stored: (cell, metric, bin) → n, empty bins left out."""
        return {(cell, metric, bin_): n for cell, metric, bin_, n in self._all("SELECT * FROM histograms WHERE n > 0")}

    def every_row(self) -> Iterator[Row]:
        """Every row of every cell; streams."""
        return map(_row, self._connection.execute(f"SELECT {_ROW_COLUMNS} FROM results"))

    def every_measurement(self) -> Iterator[Measurement]:
        """Every curve metric of every cell; streams."""
        found = self._connection.execute("SELECT cell_id, image_id, metric, value, curve FROM measurements")
        return (Measurement(*row) for row in found)

    # -- what is missing: work is derived from the file, never leased ------------------------------------------------------------

    def finished(self, cells: Sequence[int], metric: str, first: int, last: int) -> set[tuple[int, int]]:
        """(cell, image) pairs that need nothing more: a row (or curve) or a failure, for images of rank first to last."""
        finished: set[tuple[int, int]] = set()
        source = "measurements WHERE metric = ?2" if metric else "results WHERE ?2 = ''"
        for cell in cells:
            found = self._all(
                f"SELECT image_id FROM {source} AND cell_id = ?1 AND image_id BETWEEN ?3 AND ?4"
                " UNION ALL SELECT image_id FROM failures"
                " WHERE metric IN (?2, '') AND cell_id = ?1 AND image_id BETWEEN ?3 AND ?4",
                (cell, metric, first, last),
            )
            finished.update((cell, image) for (image,) in found)
        return finished

    def stored_maps(self, cells: Sequence[int], first: int, last: int) -> dict[tuple[int, int], StoredMap]:
        """The finished rows of some cells as their curves need them."""
        return {
            (cell, image): StoredMap(target, y, values)
            for cell in cells
            for image, target, y, values in self._all(
                "SELECT image_id, target, y, map FROM results WHERE cell_id = ? AND image_id BETWEEN ? AND ?", (cell, first, last)
            )
        }


def _row(record: Sequence[Any]) -> Row:
    *values, degenerate, map_ = record
    return Row(*[*values, bool(degenerate), map_])


def _loaded(values: dict[str, Any]) -> LoadedBackbone:
    tuples = {name: tuple(values[name]) for name in ("classes", "mean", "std")}
    return LoadedBackbone(**{**values, **tuples})
