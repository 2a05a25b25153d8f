"""A run's file as everybody but its driver sees it.

The run itself stands here; images, rows, averages, ranking and checks have readers of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from evaluator import catalog
from evaluator.errors import StoreError, UsageError
from evaluator.labels import Listing
from evaluator.plan import RunPlan, todays_names
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
from evaluator.store import schema
from evaluator.store.checksums import Checks
from evaluator.store.files import copy_database
from evaluator.store.queries import (
    Averages,
    ConvergencePoint,
    Images,
    RankedImage,
    Ranking,
    Rows,
)
from evaluator.store.readonly import CACHE_KIB, DAMAGE, ReadOnlyFile
from evaluator.text import printable

__all__ = ["LABELS", "ConvergencePoint", "RankedImage", "RunReader"]

LABELS = "labels"
"""The key of the hash of the file of labels among the run's versions."""


class RunReader(ReadOnlyFile):
    """A run's file, open for reading. Every method is one short transaction.

    Methods and metrics that are not camtui's own become known as the run describes them; their code
    is not imported.

    Attributes:
        images, rows: of the run; averages: and distributions of its cells; ranking: of their
            images; checks: whether all of it is what was written.
    """

    def __init__(self, path: Path, *, cache_kib: int = CACHE_KIB) -> None:
        """Open an existing run, as ``ReadOnlyFile``."""
        super().__init__(path, cache_kib=cache_kib)
        self.checks = Checks(self)
        self.images = Images(self)
        self.rows = Rows(self, self.checks)
        self.averages = Averages(self, self.checks)
        self.ranking = Ranking(self, self.averages, self.checks)
        with suppress(StoreError, *DAMAGE):  # no plan yet, or a damaged one: who asks is told
            self.plan()

    def own_log(self) -> str:
        """Name of the log beside the file that is this run's, empty where the file names none."""
        return self.one("SELECT log FROM run")[0] or ""

    def copy_to(self, target: Path) -> None:
        """A whole copy of the file, also while it is being written.

        Raises:
            UsageError: there is a file of that name, or it cannot be written.
        """
        copy_database(self.connection, target)

    def data_version(self) -> int:
        """A number that changes when another connection has changed the file."""
        return int(self.one("PRAGMA data_version")[0])

    def info(self) -> RunInfo:
        """State, times and counts."""
        *row, versions, worked, resumed = self.one(
            "SELECT name, state, message, created, started, finished, heartbeat, pid, host, "
            "image_count, versions, worked, resumed FROM run"
        )
        return RunInfo(*[*row, json.loads(versions), worked, resumed])

    def plan(self) -> RunPlan:
        """The plan as it stands, with everything that later requests added.

        Raises:
            StoreError: what is stored is no plan.
        """
        (text,) = self.one("SELECT plan FROM run")
        try:
            return RunPlan.from_json(text)
        except (UsageError, *DAMAGE) as error:
            raise StoreError(
                f"{printable(self.path)} holds no plan: {printable(error, 160)}",
                "list the runs: camtui ls",
            ) from error

    def keeps_earlier_words(self) -> bool:
        """Whether an earlier version began the run, whose words ``plan`` says in those of today."""
        return self.checks.born() < schema.NAMED_ANEW_SINCE

    def _naming(self) -> Callable[[str], str]:
        """What brings the methods in what the file says to their names of today."""
        return todays_names if self.version < schema.NAMED_ANEW_SINCE else str

    def manifest_sha256(self) -> str:
        """Identity of the data set: every path and size, whatever the limit."""
        return str(self.one("SELECT manifest_sha256 FROM run")[0])

    def listing(self) -> Listing:
        """How its images and labels were found."""
        info = self.info()
        labels, sha256 = self.plan().labels, info.versions.get(LABELS, "")
        return Listing(self.manifest_sha256(), info.image_count, labels, sha256)

    def backbones(self) -> dict[str, LoadedBackbone | None]:
        """Backbones by name, in the plan's order; ``None`` until one has been loaded once."""
        rows = self.all("SELECT name, loaded FROM backbones ORDER BY id")
        return {name: _loaded(json.loads(text), self.plan) if text else None for name, text in rows}

    def cells(self) -> list[Cell]:
        """Every cell, backbones in the plan's order, methods as they were asked for."""
        named = self._naming()
        return [
            Cell(id_, backbone, named(method), bool(applicable), named(note))
            for id_, backbone, method, applicable, note in self.all(
                "SELECT c.id, b.name, c.method, c.applicable, c.note FROM cells c JOIN "
                "backbones b ON b.id = c.backbone_id"
                " ORDER BY b.id, c.id"
            )
        ]

    def identities(self) -> dict[int, str]:
        """Cell → ``plan.cell_identity``; cells whose backbone was never loaded have none."""
        return dict(self.all("SELECT id, identity FROM cells WHERE identity NOTNULL ORDER BY id"))

    def stages(self) -> list[Stage]:
        """Stages in order, with the images that are done.

        An image counts once all cells of the stage have or have failed it.
        """
        look = self.look()
        total, dropped = self.images_wanted(), look.dropped if look else {}
        done = self.done()
        stages = []
        for id_, title, backbone, cells, metrics, forwards, seconds, timed in self.all(
            "SELECT s.id, title, b.name, s.cells, metrics, forwards_per_image, seconds, "
            "timed_images"
            " FROM stages s JOIN backbones b ON b.id = s.backbone_id ORDER BY s.id"
        ):
            ids, names = tuple(json.loads(cells)), tuple(json.loads(metrics))
            left = [cell for cell in ids if cell not in dropped]
            parts = [done.get((cell, metric), 0) for cell in left for metric in names or ("",)]
            finished = sum(min(total, part) for part in parts) // len(parts) if parts else total
            stages.append(
                Stage(id_, title, backbone, ids, names, total, finished, seconds, timed, forwards)
            )
        return stages

    def look(self) -> Look | None:
        """The latest decision of the run's rule; ``None`` without a rule, or before a look."""
        if not self.all("SELECT 1 FROM sqlite_schema WHERE name = 'looks'"):
            return None  # a file of version 1
        rows = self.all("SELECT rule, images, needed, decided, dropped, verdicts FROM looks")
        if not rows:
            return None
        rule, images, needed, decided, dropped, verdicts = rows[0]
        left = {int(cell): n for cell, n in json.loads(dropped).items()}
        return Look(
            rule, images, needed, decided, left, tuple(json.loads(self._naming()(verdicts)))
        )

    def images_wanted(self) -> int:
        """Number of images that every cell is to have: all, or those by which the rule was met."""
        look = self.look()
        return (
            int(self.one("SELECT image_count FROM run")[0])
            if look is None or look.decided is None
            else look.decided
        )

    def done(self) -> dict[tuple[int, str], int]:
        """(cell, metric) → images with a value or a failure; metric ``''`` for rows.

        Without a row there is nothing to compute an optional metric from.
        """
        failed = {
            (cell, metric): n
            for cell, metric, n in self.all(
                "SELECT cell_id, metric, count(*) FROM failures GROUP BY cell_id, metric"
            )
        }
        done = dict(failed)
        cells = self.all("SELECT id FROM cells")
        optional = {(cell, metric) for metric in catalog.optional_metrics() for (cell,) in cells}
        for key in optional:
            done[key] = failed.get(key, 0) + failed.get((key[0], ""), 0)
        for cell, name, n in self.all("SELECT cell_id, a, n FROM sums WHERE b = ''"):
            key = (cell, "" if name == "degenerate" else name)
            done[key] = done.get(key, 0) + n
        return done

    def workers(self) -> list[WorkerState]:
        """The workers of the running session as the driver last saw them."""
        found = self.all(
            "SELECT id, device, pid, state, heartbeat, restarts, utilisation, memory_used,"
            " memory_total, power, temperature FROM workers ORDER BY id"
        )
        return [WorkerState(*row) for row in found]

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """The newest ``limit`` events with an id above ``after``, oldest first."""
        rows = self.all(
            "SELECT id, time, level, text FROM events WHERE id > ? ORDER BY id DESC LIMIT ?",
            (after, limit),
        )
        return [Event(*row) for row in reversed(rows)]

    def failures(self, cell: int | None = None, limit: int = -1) -> list[Failure]:
        """Failures: what has no value, and why; of one cell or of all."""
        return [
            Failure(*row)
            for row in self.all(
                "SELECT cell_id, image_id, metric, reason, detail FROM failures WHERE ?1 IS "
                "NULL OR cell_id = ?1"
                " ORDER BY image_id, cell_id, metric LIMIT ?2",
                (cell, limit),
            )
        ]

    def failure_count(self) -> int:
        """Number of failures, those of optional metrics included; a missing truth is none."""
        return int(self.one("SELECT count(*) FROM failures WHERE reason != ?", (NO_TRUTH,))[0])

    def failed_images(self) -> tuple[int, int]:
        """Number of images that failed, and of their (cell, image) pairs."""
        images, pairs = self.one(
            "SELECT count(DISTINCT image_id), count(*) FROM (SELECT DISTINCT cell_id, image_id"
            " FROM failures WHERE reason != ?)",
            (NO_TRUTH,),
        )
        return int(images), int(pairs)

    def lacking(self) -> dict[tuple[int, str], dict[str, int]]:
        """(cell, optional metric) → reason → rows of the cell without a value of the metric."""
        found: dict[tuple[int, str], dict[str, int]] = {}
        for cell, metric, reason, n in self.all(
            "SELECT cell_id, metric, reason, count(*) FROM failures WHERE metric != ''"
            " GROUP BY cell_id, metric, reason ORDER BY cell_id, metric, reason"
        ):
            found.setdefault((cell, metric), {})[reason] = n
        return found

    def without_truth(self) -> int:
        """Number of images without a truth, where metrics need one."""
        return int(
            self.one("SELECT count(DISTINCT image_id) FROM failures WHERE reason = ?", (NO_TRUTH,))[
                0
            ]
        )


def _loaded(values: dict[str, Any], plan: Callable[[], RunPlan]) -> LoadedBackbone:
    """The record of a stored backbone.

    Version 1 kept mean and standard deviation alone: every side was 224, and the short side stood
    in the plan.
    """
    others = {
        name: value
        for name, value in values.items()
        if name not in ("mean", "std", "preprocessing", "classes", "remarks")
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
        remarks=tuple(values.get("remarks", ())),
        preprocessing=Preprocessing(**{**stored, **statistics}),
    )
