"""Everybody else's view of a run: what it is and how it does.

Cells, images and their order: the classes it is built on.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from evaluator import catalog
from evaluator.errors import StoreError, UsageError
from evaluator.plan import RunPlan
from evaluator.records import (
    NO_TRUTH,
    Cell,
    Event,
    Failure,
    LoadedBackbone,
    Look,
    Preprocessing,
    RunInfo,
    Stage,
    WorkerState,
)
from evaluator.store import schema, sealing
from evaluator.store.averages import ConvergencePoint
from evaluator.store.copying import copy_database
from evaluator.store.ranking import RankedImage, Ranking
from evaluator.store.readonly import DAMAGE
from evaluator.store.rows import Rows
from evaluator.text import printable

__all__ = ["ConvergencePoint", "RankedImage", "RunReader"]


class RunReader(Ranking, Rows):
    """A run's file, open for reading. Every method is one short transaction.

    Methods and metrics that are not camtui's own become known as the run describes them; their code
    is not imported.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with suppress(
            StoreError, *DAMAGE
        ):  # there is no plan yet, or none: whoever asks for it is told
            self.plan()

    def own_log(self) -> str:
        """Name of the log beside the file that is this run's, empty where the file names none."""
        return (self._one("SELECT log FROM run")[0] or "") if self.version > 1 else ""

    def copy_to(self, target: Path) -> None:
        """A whole copy of the file, also while it is being written.

        Raises:
            UsageError: there is a file of that name, or it cannot be written.
        """
        copy_database(self._connection, target)

    def data_version(self) -> int:
        """Changes when the file has changed since this connection last looked.

        An idle tick costs this and no more.
        """
        return int(self._one("PRAGMA data_version")[0])

    def info(self) -> RunInfo:
        """State, times and counts."""
        sessions = "worked, resumed" if self.version > 1 else "0.0, NULL"
        *row, versions, worked, resumed = self._one(
            "SELECT name, state, message, created, started, finished, heartbeat, pid, host, "
            "image_count, versions,"
            f" {sessions} FROM run"
        )
        return RunInfo(*[*row, json.loads(versions), worked, resumed])

    def plan(self) -> RunPlan:
        """The plan as it stands, with everything that later requests added.

        Raises:
            StoreError: what is stored is no plan.
        """
        (text,) = self._one("SELECT plan FROM run")
        try:
            return RunPlan.from_json(text)
        except (UsageError, *DAMAGE) as error:
            raise StoreError(
                f"{printable(self.path)} holds no plan: {printable(error, 160)}",
                "list the runs: camtui ls",
            ) from error

    def manifest_sha256(self) -> str:
        """Identity of the data set: every path and size, whatever the limit."""
        return str(self._one("SELECT manifest_sha256 FROM run")[0])

    def backbones(self) -> dict[str, LoadedBackbone | None]:
        """Backbones by name, in the plan's order; ``None`` until one has been loaded once."""
        rows = self._all("SELECT name, loaded FROM backbones ORDER BY id")
        return {name: _loaded(json.loads(text), self.plan) if text else None for name, text in rows}

    def cells(self) -> list[Cell]:
        """Every cell, backbones in the plan's order, methods as they were asked for."""
        return [
            Cell(id_, backbone, method, bool(applicable), note)
            for id_, backbone, method, applicable, note in self._all(
                "SELECT c.id, b.name, c.method, c.applicable, c.note FROM cells c JOIN "
                "backbones b ON b.id = c.backbone_id"
                " ORDER BY b.id, c.id"
            )
        ]

    def stages(self) -> list[Stage]:
        """Stretches of work in order, with what is done.

        An image counts once all cells of the stage have or have failed it.
        """
        look = self.look()
        total, dropped = self.images_wanted(), look.dropped if look else {}
        done = self.done()
        stages = []
        for id_, title, backbone, cells, metrics, forwards, seconds, timed in self._all(
            "SELECT s.id, title, b.name, s.cells, metrics, forwards_per_image, seconds, "
            "timed_images"
            " FROM stages s JOIN backbones b ON b.id = s.backbone_id ORDER BY s.id"
        ):
            ids, names = tuple(json.loads(cells)), tuple(json.loads(metrics))
            parts = [
                done.get((cell, metric), 0)
                for cell in ids
                if cell not in dropped
                for metric in (names or ("",))
            ]
            finished = sum(min(total, part) for part in parts) // len(parts) if parts else total
            stages.append(
                Stage(id_, title, backbone, ids, names, total, finished, seconds, timed, forwards)
            )
        return stages

    def look(self) -> Look | None:
        """What the run's rule has decided so far.

        ``None`` where it has none, or nobody has looked yet.
        """
        if not self._all("SELECT 1 FROM sqlite_schema WHERE name = 'looks'"):
            return None  # a file of version 1
        rows = self._all("SELECT rule, images, needed, decided, dropped, verdicts FROM looks")
        if not rows:
            return None
        rule, images, needed, decided, dropped, verdicts = rows[0]
        left = {int(cell): n for cell, n in json.loads(dropped).items()}
        return Look(rule, images, needed, decided, left, tuple(json.loads(verdicts)))

    def images_wanted(self) -> int:
        """How many images every cell is to have: all, or those by which the rule was met."""
        look = self.look()
        return (
            int(self._one("SELECT image_count FROM run")[0])
            if look is None or look.decided is None
            else look.decided
        )

    def done(self) -> dict[tuple[int, str], int]:
        """(cell, metric) → images with a value or a failure; metric ``''`` for rows.

        Without a row there is nothing to compute an optional metric from.
        """
        failed = {
            (cell, metric): n
            for cell, metric, n in self._all(
                "SELECT cell_id, metric, count(*) FROM failures GROUP BY cell_id, metric"
            )
        }
        done = dict(failed)
        cells = self._all("SELECT id FROM cells")
        optional = {(cell, metric) for metric in catalog.optional_metrics() for (cell,) in cells}
        for key in optional:
            done[key] = failed.get(key, 0) + failed.get((key[0], ""), 0)
        for cell, name, n in self._all("SELECT cell_id, a, n FROM sums WHERE b = ''"):
            key = (cell, "" if name == "degenerate" else name)
            done[key] = done.get(key, 0) + n
        return done

    def workers(self) -> list[WorkerState]:
        """The workers of the running session as the driver last saw them."""
        columns = "id, device, pid, state, heartbeat, restarts, utilisation, memory_used, memory_total, power, temperature"
        return [
            WorkerState(*row) for row in self._all(f"SELECT {columns} FROM workers ORDER BY id")
        ]

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """The newest ``limit`` events with an id above ``after``, oldest first."""
        rows = self._all(
            "SELECT id, time, level, text FROM events WHERE id > ? ORDER BY id DESC LIMIT ?",
            (after, limit),
        )
        return [Event(*row) for row in reversed(rows)]

    def failures(self, cell: int | None = None, limit: int = -1) -> list[Failure]:
        """What has no value, and why."""
        return [
            Failure(*row)
            for row in self._all(
                "SELECT cell_id, image_id, metric, reason, detail FROM failures WHERE ?1 IS "
                "NULL OR cell_id = ?1"
                " ORDER BY image_id, cell_id, metric LIMIT ?2",
                (cell, limit),
            )
        ]

    def failure_count(self) -> int:
        """How many (cell, image) pairs have failed, optional metrics included.

        That an image has no truth is no failure.
        """
        return int(self._one("SELECT count(*) FROM failures WHERE reason != ?", (NO_TRUTH,))[0])

    def without_truth(self) -> int:
        """How many images have no value of the metrics that need a truth because there is none."""
        return int(
            self._one(
                "SELECT count(DISTINCT image_id) FROM failures WHERE reason = ?", (NO_TRUTH,)
            )[0]
        )

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file itself: nothing, as a rule. Reads all of it."""
        found = [str(line) for (line,) in self._all("PRAGMA integrity_check(20)") if line != "ok"]
        return found + [
            f"{row[0]}: a row without its {row[2]}"
            for row in self._all("PRAGMA foreign_key_check")[:20]
        ]

    def foreign_schema(self) -> list[str]:
        """Tables and indexes that are not those of its version; nothing, as a rule."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            for script in schema.MIGRATIONS[: self.version]:
                fresh.executescript(script)
            expected = _definitions(fresh.execute(_SCHEMA_QUERY).fetchall())
        found = _definitions(self._all(_SCHEMA_QUERY))
        return sorted(
            {f"the table {printable(name)} is not a run's" for _, name, _ in found ^ expected}
        )

    def damaged_records(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """``(table, key)`` of every record with a wrong checksum; rows and measurements aside."""
        if self.version < 2:
            return
        optional = not self.born_sealed()
        sealing.add_function(self._connection)
        for table in sealing.sealed_tables(self._connection):
            missing = "checksum NOTNULL AND" if optional else ""
            query = f"SELECT {', '.join(table.key)} FROM {table.name} WHERE {missing} checksum IS NOT {table.expression()}"
            for key in self._connection.execute(query):
                yield table.name, key

    def raw_sums(self) -> dict[tuple[int, str, str], tuple[int, int]]:
        """The running sums as stored: (cell, a, b) → (n, total in units of 2⁻⁴⁰)."""
        return {
            (cell, a, b): (n, total)
            for cell, a, b, n, total in self._all("SELECT cell_id, a, b, n, total FROM sums")
        }

    def raw_histograms(self) -> dict[tuple[int, str, int], int]:
        """The histograms as stored: (cell, metric, bin) → n, empty bins left out."""
        return {
            (cell, metric, bin_): n
            for cell, metric, bin_, n in self._all("SELECT * FROM histograms WHERE n > 0")
        }


_SCHEMA_QUERY = "SELECT type, tbl_name, coalesce(sql, name) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'"


def _definitions(found: list[tuple[Any, ...]]) -> set[tuple[str, str, str]]:
    """Kind, table and definition of each entry, comments and blanks aside."""
    return {
        (str(kind), str(table), " ".join(re.sub("--[^\n]*", "", str(sql)).split()))
        for kind, table, sql in found
    }


def _loaded(values: dict[str, Any], plan: Callable[[], RunPlan]) -> LoadedBackbone:
    """What is stored of a backbone, as a record.

    Version 1 kept mean and standard deviation alone: every side was 224, and the short side stood
    in the plan.
    """
    others = {
        name: value
        for name, value in values.items()
        if name not in ("mean", "std", "preprocessing", "classes")
    }
    stored = values.get("preprocessing") or {
        "mean": values["mean"],
        "std": values["std"],
        "resize": plan().resize,
    }
    statistics = {name: tuple(stored[name]) for name in ("mean", "std")}
    return LoadedBackbone(
        **others,
        classes=tuple(values["classes"]),
        preprocessing=Preprocessing(**{**stored, **statistics}),
    )
