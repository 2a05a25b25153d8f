"""The one writer of a run's file: opened by the driver, which holds the run's lock.

What is stored of the run itself stands here; rows and cells have writers of their own.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from evaluator.errors import Mismatch
from evaluator.images import Manifest
from evaluator.plan import RunPlan
from evaluator.records import Look, RunState, Stage, WorkerState
from evaluator.store import schema, withdrawal
from evaluator.store.cell_writer import CellWriter
from evaluator.store.copying import copy_database
from evaluator.store.repairs import Repairs
from evaluator.store.row_writer import RowWriter
from evaluator.store.writable import WritableFile
from evaluator.text import counted, printable


class RunWriter:
    """A run's file, open for writing. One per run at a time: the caller holds ``lock.RunLock``.

    Attributes:
        file: the open file.
        cells, rows, repairs: write these parts of it.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, create it where there is none, and bring an older one to this version.

        Raises:
            UsageError, StoreError, sqlite3.OperationalError: as ``WritableFile``.
        """
        self.path = path
        self.file = WritableFile(path)
        self.cells = CellWriter(self.file)
        self.rows = RowWriter(self.file)
        self.repairs = Repairs(self.file)

    def close(self) -> None:
        """Close the file; it alone is the run then."""
        self.file.close()

    def copy_to(self, target: Path) -> None:
        """A whole copy of the file, wherever it is now.

        Raises:
            UsageError: there is a file of that name, or it cannot be written.
        """
        copy_database(self.file.connection, target)

    def begin(
        self,
        name: str,
        plan: RunPlan,
        manifest: Manifest,
        *,
        versions: Mapping[str, str] | None = None,
        retry_failed: bool = False,
    ) -> None:
        """Store a new run, or what a request adds to the stored one: images, backbones, cells.

        Args:
            name: of a new run.
            plan: the whole of it.
            manifest: the plan's images.
            versions: to be recorded, see ``add_versions``.
            retry_failed: forget the failures, so that those images are tried again.

        Raises:
            Mismatch: the files in the data folder are not those that the run was made from, or a
                file of labels gives other labels than the images have.
            UsageError: the folder of temporary files is full.
        """
        with self.file.transaction():
            stored = self.file.execute("SELECT manifest_sha256 FROM run").fetchone()
            withdrawal.remember(self.file, failures=retry_failed)
            if stored is None:
                self._insert_run(name, plan, manifest)
            else:
                self._check_images(stored[0], plan, manifest)
            self._add_images(manifest)
            self._add_cells(plan)
            self.file.execute(
                "UPDATE run SET plan = ?1, image_count = (SELECT count(*) FROM images), state "
                "= 'starting', message = '',"
                " worked = worked + coalesce(max(0, coalesce(finished, heartbeat) - "
                "coalesce(resumed, started)), 0),"
                " resumed = ?4,"
                " pid = ?2, host = ?3, started = coalesce(started, ?4), finished = NULL, "
                "heartbeat = ?4",
                (plan.to_json(), os.getpid(), socket.gethostname(), time.time()),
            )
            self.file.execute("DELETE FROM workers")
            if retry_failed:
                self.rows.forget_failures()
            self.add_versions(versions or {})
        self.file.fold_in()

    def withdraw(self) -> None:
        """Take back what was stored since ``begin`` for a request of which nothing was computed.

        Where there was no run, there is none again. Events stay: they tell what was tried.
        """
        withdrawal.restore(self.file)

    def confirm(self) -> None:
        """Make what ``begin`` stored final, and free the room that ``withdraw`` would need."""
        withdrawal.forget(self.file)

    def _check_images(self, sha256: str, plan: RunPlan, manifest: Manifest) -> None:
        if sha256 != manifest.sha256:
            raise Mismatch(
                _manifest_difference(self.file.connection, manifest),
                "choose another --name for the changed data",
            )
        if plan.labels is not None and (other := _label_difference(self.file, manifest)):
            raise Mismatch(
                f"{printable(plan.labels)} gives other labels than the run has: {other}",
                "give the former labels, or begin a run with these: camtui run --name NAME "
                "--labels FILE",
            )

    def _insert_run(self, name: str, plan: RunPlan, manifest: Manifest) -> None:
        run = {
            "id": 1,
            "name": name,
            "plan": plan.to_json(),
            "manifest_sha256": manifest.sha256,
            "image_count": len(manifest.images),
            "state": "starting",
            "created": time.time(),
            "born": schema.SCHEMA_VERSION,
        }
        self.file.insert("run", [run])

    def _add_images(self, manifest: Manifest) -> None:
        (known,) = self.file.execute("SELECT count(*) FROM images").fetchone()
        self.file.insert(
            "images", (image._asdict() for image in manifest.images[known:]), batch_size=1000
        )
        labelled = [
            (image.label, image.id) for image in manifest.images[:known] if image.label is not None
        ]
        self.file.executemany(
            "UPDATE images SET label = ? WHERE id = ? AND label IS NULL", labelled
        )

    def _add_cells(self, plan: RunPlan) -> None:
        for position, backbone in enumerate(plan.backbones):
            self.file.insert("backbones", [{"id": position, "name": backbone.name}], ignore=True)
            for method in plan.methods:
                self.file.execute(
                    "INSERT INTO cells (backbone_id, method) SELECT ?1, ?2"
                    " WHERE NOT EXISTS (SELECT 1 FROM cells WHERE backbone_id = ?1 AND method "
                    "= ?2)",
                    (position, method),
                )

    def set_state(self, state: RunState, message: str = "") -> None:
        """Store the run's state, with the time it ended where it has."""
        finished = time.time() if state in ("stopped", "complete", "failed") else None
        self.file.execute(
            "UPDATE run SET state = ?, message = ?, finished = ?, heartbeat = ?",
            (state, message, finished, time.time()),
        )

    def own_log(self, log: Path) -> None:
        """Remember that the log beside the file is the run's own."""
        self.file.execute("UPDATE run SET log = ?", (printable(log.name),))

    def heartbeat(self, workers: Iterable[WorkerState] = ()) -> None:
        """Record that the driver is alive, and so are these workers."""
        with self.file.transaction():
            self.file.execute("UPDATE run SET heartbeat = ?", (time.time(),))
            self.file.insert(
                "workers", (asdict(worker) for worker in workers), pk="id", replace=True
            )

    def add_versions(self, versions: Mapping[str, str]) -> None:
        """Record what computes the rows: torch, torchvision, device; the newest session's stay."""
        (text,) = self.file.execute("SELECT versions FROM run").fetchone()
        self.file.execute(
            "UPDATE run SET versions = ?",
            (json.dumps({**json.loads(text), **versions}, sort_keys=True),),
        )

    def event(self, level: str, text: str) -> None:
        """Add a line to the run's history."""
        self.file.insert(
            "events", [{"time": time.time(), "level": level, "text": printable(text, 2000)}]
        )

    def set_labels(self, labels: Iterable[tuple[int, int]]) -> None:
        """Store ``(image, class index)`` for images whose label was unknown."""
        with self.file.transaction():
            rows = [(label, image) for image, label in labels]
            self.file.executemany(
                "UPDATE images SET label = ? WHERE id = ? AND label IS NULL", rows
            )

    def replace_labels(self, labels: Iterable[tuple[int, int | None]]) -> None:
        """Store ``(image, class index)``, ``None`` for unknown, whatever was known before."""
        with self.file.transaction():
            rows = [(label, image) for image, label in labels]
            self.file.executemany(
                "UPDATE images SET label = ?1 WHERE id = ?2 AND label IS NOT ?1", rows
            )

    def set_stages(self, stages: Sequence[Stage]) -> None:
        """Store the stages of this session, with the times that they bring along."""
        with self.file.transaction():
            self.file.execute("DELETE FROM stages")
            self.file.executemany(
                "INSERT INTO stages (id, title, backbone_id, cells, metrics, "
                "forwards_per_image, seconds, timed_images)"
                " VALUES (?, ?, (SELECT id FROM backbones WHERE name = ?), ?, ?, ?, ?, ?)",
                [
                    (
                        s.id,
                        s.title,
                        s.backbone,
                        json.dumps(s.cells),
                        json.dumps(s.metrics),
                        s.forwards_per_image,
                        s.seconds,
                        s.timed_images,
                    )
                    for s in stages
                ],
            )

    def change_stage(self, stage: Stage) -> None:
        """Change cells or costs of a stage once its backbone is known; times measured stay."""
        self.file.execute(
            "UPDATE stages SET title = ?, cells = ?, metrics = ?, forwards_per_image = ? WHERE "
            "id = ?",
            (
                stage.title,
                json.dumps(stage.cells),
                json.dumps(stage.metrics),
                stage.forwards_per_image,
                stage.id,
            ),
        )

    def set_look(self, look: Look | None) -> None:
        """Store what the plan's rule has decided so far; ``None`` where the plan has none."""
        with self.file.transaction():
            self.file.execute("DELETE FROM looks")
            if look is not None:
                self.file.execute(
                    "INSERT INTO looks (id, rule, images, needed, decided, dropped, verdicts) "
                    "VALUES (1, ?, ?, ?, ?, ?, ?)",
                    (
                        look.rule,
                        look.images,
                        look.needed,
                        look.decided,
                        json.dumps(look.dropped),
                        json.dumps(look.verdicts),
                    ),
                )


def _label_difference(file: WritableFile, manifest: Manifest) -> str:
    """The images whose label in the manifest is not the stored one, in words; empty as a rule."""
    stored = dict(file.execute("SELECT id, label FROM images WHERE label NOT NULL").fetchall())
    other = [
        image
        for image in manifest.images
        if image.label is not None and stored.get(image.id, image.label) != image.label
    ]
    if not other:
        return ""
    first, more = other[0], len(other) - 1
    rest = f", and {counted(more, 'other')}" if more else ""
    return (
        f"{printable(first.path, 60)} is {stored[first.id]} in the run, {first.label} there{rest}"
    )


def _manifest_difference(connection: sqlite3.Connection, manifest: Manifest) -> str:
    """Say in one line how the folder differs from the stored images."""
    stored = dict(connection.execute("SELECT path, size FROM images").fetchall())
    now = {image.path: image.size for image in manifest.images}
    gone = [path for path in stored if path not in now]
    other = [path for path in stored if path in now and now[path] != stored[path]]
    parts = (
        [
            f"{len(gone)} of its images are not among the first now (such as "
            f"{printable(gone[0], 60)})"
        ]
        if gone
        else []
    )
    if other:
        parts.append(f"{len(other)} have another size (such as {printable(other[0], 60)})")
    changes = "; ".join(parts) or "files were added or removed"
    return f"the data folder has changed since the run began: {changes}"
