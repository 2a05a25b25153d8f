"""The one writer of a run's file: opened by the driver, which holds the run's lock.

What is stored of the run itself stands here; rows and cells have writers of their own.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from evaluator.errors import Mismatch, UsageError
from evaluator.images import Manifest
from evaluator.plan import RunPlan
from evaluator.records import LoadedBackbone, Look, RunState, Stage, WorkerState
from evaluator.store import checksums, schema
from evaluator.store.checksums import measurement_checksum, row_checksum
from evaluator.store.disk_space import full_words, is_full, sqlite_temporary_folder
from evaluator.store.files import RunLock, copy_database
from evaluator.store.row_writer import RowWriter, WritableFile
from evaluator.store.schema import MEASUREMENT_COLUMNS, ROW_COLUMNS
from evaluator.text import counted, printable

_UNCHANGED = (
    "source", "sha256", "layer", "channels", "height", "width", "preprocessing", "score", "tokens",
)  # fmt: skip
"""Of a ``LoadedBackbone``: what every later load must bring again."""

_OF_A_CELL = ("results", "measurements", "failures", "sums", "histograms", "sum_checksums")
"""Tables of what was computed for a cell."""

_ASKED_ANEW = "a part was removed: the rule that had ended the run is asked anew when it goes on"
"""Message of a run that was complete by its rule before a part of it was removed."""


class CellWriter:
    """Writes what is known of backbones and cells, rows aside."""

    def __init__(self, file: WritableFile) -> None:
        self._file = file

    def set_backbone(self, position: int, loaded: LoadedBackbone) -> None:
        """Record a backbone at its first load; later loads must bring the same weights and layer.

        Raises:
            Mismatch: they do not.
        """
        stored, now = self._loaded(position), json.loads(json.dumps(asdict(loaded)))
        if stored is None:
            self._set_loaded(position, now)
            return
        for name in _UNCHANGED:
            if name in stored and stored[name] != now[name]:
                raise Mismatch(
                    f"{loaded.key}: {name} is {now[name]}, the run was made with {stored[name]}",
                    "put the former network back, or choose another --name",
                )
        self.remark(position, loaded.remarks)

    def remark(self, position: int, remarks: Sequence[str]) -> None:
        """Add to what is said of a backbone that has been loaded; nothing is said twice."""
        stored = self._loaded(position) or {}
        said = list(dict.fromkeys([*stored.get("remarks", ()), *remarks]))
        if stored and said != stored.get("remarks", []):
            self._set_loaded(position, {**stored, "remarks": said})

    def _loaded(self, position: int) -> dict[str, Any] | None:
        query = "SELECT coalesce(loaded, 'null') FROM backbones WHERE id = ?"
        found: dict[str, Any] | None = json.loads(
            self._file.execute(query, (position,)).fetchone()[0]
        )
        return found

    def _set_loaded(self, position: int, loaded: dict[str, Any]) -> None:
        query = "UPDATE backbones SET loaded = ? WHERE id = ?"
        self._file.execute(query, (json.dumps(loaded), position))

    def describe(self, cell: int, *, identity: str, applicable: bool, note: str) -> None:
        """Record what loading the backbone told about a cell.

        Raises:
            Mismatch: the cell has rows or optional metrics, and they were computed by another
                cell: other weights, method or protocol.
        """
        method, stored = self._file.execute(
            "SELECT method, identity FROM cells WHERE id = ?", (cell,)
        ).fetchone()
        if stored not in (None, identity) and self._has_checked_values(cell):
            raise Mismatch(
                f"{printable(method)} is not what the run's rows were computed with",
                "choose another --name for what it is now",
            )
        self._file.execute(
            "UPDATE cells SET identity = ?, applicable = ?, note = ? WHERE id = ?",
            (identity, applicable, note, cell),
        )

    def _has_checked_values(self, cell: int) -> bool:
        """Whether anything in a cell has a checksum, which names the cell."""
        return any(
            self._file.execute(
                f"SELECT 1 FROM {table} WHERE cell_id = ? AND checksum NOT NULL LIMIT 1", (cell,)
            ).fetchone()
            for table in ("results", "measurements")
        )

    def note(self, backbone: str, note: str) -> None:
        """Say of every cell of a backbone that has never been loaded why it has no rows."""
        self._file.execute(
            "UPDATE cells SET note = ? WHERE identity IS NULL AND backbone_id = (SELECT id "
            "FROM backbones WHERE name = ?)",
            (printable(note, 300), backbone),
        )

    def remove(self, plan: RunPlan, cells: Sequence[int], positions: Sequence[int]) -> None:
        """Take cells out of the run, with everything that was computed for them.

        A run that its rule has ended is no longer complete: the rule is asked anew.

        Args:
            plan: what is left of the run's plan.
            positions: backbones that go as a whole; those behind them move up.
        """
        execute = self._file.execute
        with self._file.transaction():
            execute("PRAGMA defer_foreign_keys=ON")
            for cell in cells:
                for table in _OF_A_CELL:
                    execute(f"DELETE FROM {table} WHERE cell_id = ?", (cell,))
                execute("DELETE FROM cells WHERE id = ?", (cell,))
            execute("DELETE FROM stages")  # the next session plans them anew
            for position in sorted(positions, reverse=True):
                execute("DELETE FROM backbones WHERE id = ?", (position,))
                behind = execute(
                    "SELECT id FROM backbones WHERE id > ? ORDER BY id", (position,)
                ).fetchall()
                for (place,) in behind:
                    execute("UPDATE backbones SET id = ? WHERE id = ?", (place - 1, place))
                    execute(
                        "UPDATE cells SET backbone_id = ? WHERE backbone_id = ?", (place - 1, place)
                    )
            if execute("DELETE FROM looks").rowcount:
                execute(
                    "UPDATE run SET state = 'stopped', message = ? WHERE state = 'complete'",
                    (_ASKED_ANEW,),
                )
            execute("UPDATE run SET plan = ?", (plan.to_json(),))


class Repairs:
    """Changes to records that are there already."""

    def __init__(self, file: WritableFile) -> None:
        self._file = file

    def drop_damaged(
        self,
        measured: Sequence[tuple[int, int, str]],
        records: Sequence[tuple[str, tuple[Any, ...]]],
    ) -> int:
        """Delete damaged records, as far as they can be made again, in the caller's transaction.

        Args:
            measured: (cell, image, metric) of rows, metric ``''``, and measurements; a row takes
                its measurements along.
            records: table and key of others.

        Returns:
            How many rows and measurements are gone.
        """
        execute = self._file.execute
        dropped = 0
        for cell, image, metric in measured:
            if not metric:
                dropped += execute(
                    "DELETE FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
                ).rowcount
            dropped += execute(
                "DELETE FROM measurements"
                " WHERE cell_id = ?1 AND image_id = ?2 AND ?3 IN (metric, '')",
                (cell, image, metric),
            ).rowcount
        for table, key in records:
            if table in _MADE_AGAIN:
                places = " AND ".join(f"{column} = ?" for column in _MADE_AGAIN[table])
                execute(f"DELETE FROM {table} WHERE {places}", key)
        execute("DELETE FROM failures WHERE reason = 'damaged-row'")
        return dropped

    def seal_all(self) -> int:
        """Give a checksum to every record without one; return how many rows and measurements."""
        execute = self._file.execute
        path = "(SELECT path FROM images WHERE id = image_id)"
        with self._file.transaction():
            sealed = 0
            for table, columns, function in (
                ("results", ROW_COLUMNS, row_checksum),
                ("measurements", MEASUREMENT_COLUMNS, measurement_checksum),
            ):
                late = partial(_late_checksum, function)
                self._file.connection.create_function("late_checksum", -1, late)
                checksum = f"late_checksum({path}, {columns})"
                update = f"UPDATE {table} SET checksum = {checksum} WHERE checksum IS NULL"
                sealed += execute(update).rowcount
            for other in checksums.sealed_tables(self._file.connection):
                column = other.columns[-1]
                execute(f"UPDATE {other.name} SET {column} = {column} WHERE checksum IS NULL")
            execute("UPDATE run SET born = max(born, ?)", (schema.SUMS_SEALED_SINCE,))
        return sealed


_MADE_AGAIN = {
    "failures": ("cell_id", "image_id", "metric"),
    "events": ("id",),
    "stages": ("id",),
    "workers": ("id",),
}
"""Tables whose damaged records may go, with their keys: a session writes them anew, or tries their
failures again.
"""


def _late_checksum(checksum_of: Callable[..., bytes], path: bytes, *record: Any) -> bytes:
    """The checksum of a record written without one: its cell and file are not known."""
    return checksum_of(record, "", path, None)


_TABLES = ("run", "backbones", "cells", "stages", "looks", "workers")
"""Small tables with an ``id``, of which every column is remembered."""


def remember(file: WritableFile, *, failures: bool) -> None:
    """Copy what a request may change; within the transaction that makes the first change.

    Args:
        failures: whether the request forgets the failures.

    Raises:
        UsageError: the folder of temporary files is full.
    """
    try:
        _copy(file, failures=failures)
    except sqlite3.OperationalError as error:
        if not is_full(error):
            raise
        raise UsageError(
            f"no room for temporary files in {printable(sqlite_temporary_folder())}: "
            f"{full_words()}",
            "make room there, or name another folder: SQLITE_TMPDIR=FOLDER",
        ) from error


def _copy(file: WritableFile, *, failures: bool) -> None:
    forget(file)
    for table in _TABLES:
        file.execute(f"CREATE TEMP TABLE before_{table} AS SELECT * FROM main.{table}")
    file.execute(
        "CREATE TEMP TABLE before_images (id INTEGER PRIMARY KEY, label INTEGER, checksum BLOB)"
    )
    file.execute("INSERT INTO temp.before_images SELECT id, label, checksum FROM main.images")
    if failures:
        file.execute("CREATE TEMP TABLE before_failures AS SELECT * FROM main.failures")


def forget(file: WritableFile) -> None:
    """Drop the copies."""
    for table in (*_TABLES, "images", "failures"):
        file.execute(f"DROP TABLE IF EXISTS temp.before_{table}")


def restore(file: WritableFile) -> None:
    """Bring everything back that was remembered; nothing where nothing was."""
    remembered = {name for (name,) in file.execute("SELECT name FROM temp.sqlite_schema")}
    if "before_run" not in remembered:
        return
    with file.transaction():
        file.execute("PRAGMA defer_foreign_keys=ON")
        file.execute("DELETE FROM images WHERE id NOT IN (SELECT id FROM temp.before_images)")
        _restore_columns(file, "images", ["label"])
        for table in _TABLES:
            _restore_table(file, table)
        if "before_failures" in remembered:
            file.execute("INSERT OR IGNORE INTO failures SELECT * FROM temp.before_failures")
            file.execute(
                "UPDATE failures AS now SET checksum = was.checksum FROM temp.before_failures AS "
                "was WHERE (now.cell_id, now.image_id, now.metric) = (was.cell_id, was.image_id, "
                "was.metric) AND now.checksum IS NOT was.checksum"
            )
        forget(file)


def _restore_table(file: WritableFile, table: str) -> None:
    columns = [name for (name,) in file.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    file.execute(f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM temp.before_{table})")
    file.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM temp.before_{table}")
    _restore_columns(file, table, [name for name in columns if name not in ("id", "checksum")])


def _restore_columns(file: WritableFile, table: str, columns: list[str]) -> None:
    """Restore columns where they differ, then the checksums, which a change has made anew."""
    for names in (columns, ["checksum"]):
        now, was = (", ".join(f"{side}.{name}" for name in names) for side in ("now", "was"))
        values = ", ".join(f"{name} = was.{name}" for name in names)
        file.execute(
            f"UPDATE {table} AS now SET {values} FROM temp.before_{table} AS was "
            f"WHERE now.id = was.id AND ({now}) IS NOT ({was})"
        )


class RunWriter(WritableFile):
    """A run's file, open for writing. One per run at a time: the caller holds ``files.RunLock``.

    Attributes:
        rows, cells, repairs: write these parts of it.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file, as ``WritableFile``."""
        super().__init__(path)
        self.rows = RowWriter(self)
        self.cells = CellWriter(self)
        self.repairs = Repairs(self)

    def copy_to(self, target: Path) -> None:
        """A whole copy of the file, wherever it is now.

        Raises:
            UsageError: there is a file of that name, or it cannot be written.
        """
        copy_database(self.connection, target)

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
        with self.transaction():
            stored = self.execute("SELECT manifest_sha256 FROM run").fetchone()
            remember(self, failures=retry_failed)
            if stored is None:
                self._insert_run(name, plan, manifest)
            else:
                self._check_images(stored[0], plan, manifest)
            self._add_images(manifest)
            self._add_cells(plan)
            self.execute(
                "UPDATE run SET plan = ?1, image_count = (SELECT count(*) FROM images), state "
                "= 'starting', message = '',"
                " worked = worked + coalesce(max(0, coalesce(finished, heartbeat) - "
                "coalesce(resumed, started)), 0),"
                " resumed = ?4,"
                " pid = ?2, host = ?3, started = coalesce(started, ?4), finished = NULL, "
                "heartbeat = ?4",
                (plan.to_json(), os.getpid(), socket.gethostname(), time.time()),
            )
            self.execute("DELETE FROM workers")
            if retry_failed:
                self.rows.forget_failures()
            self.add_versions(versions or {})
        self.fold_in()

    def withdraw(self) -> None:
        """Take back what was stored since ``begin`` for a request of which nothing was computed.

        Where there was no run, there is none again. Events stay: they tell what was tried.
        """
        restore(self)

    def confirm(self) -> None:
        """Make what ``begin`` stored final, and free the room that ``withdraw`` would need."""
        forget(self)

    def _check_images(self, sha256: str, plan: RunPlan, manifest: Manifest) -> None:
        if sha256 != manifest.sha256:
            raise Mismatch(
                _manifest_difference(self.connection, manifest),
                "--accept-data-changes keeps the run's images (those that are missing or changed "
                "become failures); or choose another --name for the changed data",
            )
        file = manifest.label_file
        if file is not None and (other := _label_difference(self, manifest)):
            raise Mismatch(
                f"{printable(file.path)} gives other labels than the run has: {other}",
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
        self.insert("run", [run])

    def _add_images(self, manifest: Manifest) -> None:
        (known,) = self.execute("SELECT count(*) FROM images").fetchone()
        self.insert(
            "images", (image._asdict() for image in manifest.images[known:]), batch_size=1000
        )
        labelled = [
            (image.label, image.id) for image in manifest.images[:known] if image.label is not None
        ]
        self.executemany("UPDATE images SET label = ? WHERE id = ? AND label IS NULL", labelled)

    def _add_cells(self, plan: RunPlan) -> None:
        for position, backbone in enumerate(plan.backbones):
            self.insert("backbones", [{"id": position, "name": backbone.name}], ignore=True)
            for method in plan.methods:
                self.execute(
                    "INSERT INTO cells (backbone_id, method) SELECT ?1, ?2"
                    " WHERE NOT EXISTS (SELECT 1 FROM cells WHERE backbone_id = ?1 AND method "
                    "= ?2)",
                    (position, method),
                )

    def set_state(self, state: RunState, message: str = "") -> None:
        """Store the run's state, with the time it ended where it has."""
        finished = time.time() if state in ("stopped", "complete", "failed") else None
        self.execute(
            "UPDATE run SET state = ?, message = ?, finished = ?, heartbeat = ?",
            (state, message, finished, time.time()),
        )

    def own_log(self, log: Path) -> None:
        """Remember that the log beside the file is the run's own."""
        self.execute("UPDATE run SET log = ?", (printable(log.name),))

    def heartbeat(self, workers: Iterable[WorkerState] = ()) -> None:
        """Record that the driver is alive, and so are these workers."""
        with self.transaction():
            self.execute("UPDATE run SET heartbeat = ?", (time.time(),))
            self.insert("workers", (asdict(worker) for worker in workers), pk="id", replace=True)

    def add_versions(self, versions: Mapping[str, str]) -> None:
        """Record what computes the rows: torch, torchvision, device; the newest session's stay."""
        (text,) = self.execute("SELECT versions FROM run").fetchone()
        self.execute(
            "UPDATE run SET versions = ?",
            (json.dumps({**json.loads(text), **versions}, sort_keys=True),),
        )

    def event(self, level: str, text: str) -> None:
        """Add a line to the run's history."""
        self.insert(
            "events", [{"time": time.time(), "level": level, "text": printable(text, 2000)}]
        )

    def set_labels(self, labels: Iterable[tuple[int, int]]) -> None:
        """Store ``(image, class index)`` for images whose label was unknown."""
        with self.transaction():
            rows = [(label, image) for image, label in labels]
            self.executemany("UPDATE images SET label = ? WHERE id = ? AND label IS NULL", rows)

    def replace_labels(self, labels: Iterable[tuple[int, int | None]]) -> None:
        """Store ``(image, class index)``, ``None`` for unknown, whatever was known before."""
        with self.transaction():
            rows = [(label, image) for image, label in labels]
            self.executemany("UPDATE images SET label = ?1 WHERE id = ?2 AND label IS NOT ?1", rows)

    def set_stages(self, stages: Sequence[Stage]) -> None:
        """Store the stages of this session, with the times that they bring along."""
        with self.transaction():
            self.execute("DELETE FROM stages")
            backbones = dict(self.execute("SELECT name, id FROM backbones").fetchall())
            self.insert(
                "stages",
                (
                    {"id": stage.id, "backbone_id": backbones[stage.backbone]}
                    | {"seconds": stage.seconds, "timed_images": stage.timed_images}
                    | _of_cells(stage)
                    for stage in stages
                ),
            )

    def change_stage(self, stage: Stage) -> None:
        """Change cells or costs of a stage once its backbone is known; times measured stay."""
        changed = _of_cells(stage)
        columns = ", ".join(f"{name} = ?" for name in changed)
        self.execute(f"UPDATE stages SET {columns} WHERE id = ?", (*changed.values(), stage.id))

    def set_look(self, look: Look | None) -> None:
        """Store what the plan's rule has decided so far; ``None`` where the plan has none."""
        with self.transaction():
            self.execute("DELETE FROM looks")
            if look is not None:
                texts = {name: json.dumps(getattr(look, name)) for name in ("dropped", "verdicts")}
                self.insert("looks", [{"id": 1} | asdict(look) | texts])


def _of_cells(stage: Stage) -> dict[str, str | float]:
    """The columns of a stage that change once its backbone is known."""
    texts = {name: json.dumps(getattr(stage, name)) for name in ("cells", "metrics")}
    return {"title": stage.title, "forwards_per_image": stage.forwards_per_image, **texts}


@contextmanager
def locked_writer(path: Path) -> Iterator[RunWriter]:
    """The writer of a run that no driver writes, under the run's lock.

    Raises:
        TryAgain: a driver holds the run.
    """
    lock = RunLock(path)
    try:
        with closing(RunWriter(path)) as writer:
            yield writer
    finally:
        lock.release()


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
