"""The one writer of a run's file: opened by the driver, which holds the run's lock.

A row and its sums appear together.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from evaluator.errors import Mismatch, StoreError, UsageError
from evaluator.images import Manifest
from evaluator.plan import RunPlan
from evaluator.records import (
    Failure,
    LoadedBackbone,
    Look,
    Measurement,
    Row,
    RunInfo,
    RunState,
    Stage,
    UnitResult,
    WorkerState,
)
from evaluator.store import schema, sealing
from evaluator.store.checksums import measurement_checksum, row_checksum
from evaluator.store.copying import copy_database
from evaluator.store.disk_space import is_full
from evaluator.store.files import beside, open_own, real
from evaluator.store.identity import refuse_foreign
from evaluator.store.rows import ARCC_SOURCES
from evaluator.store.sqlite_library import Database
from evaluator.store.sums import ArccSources, sums_of
from evaluator.text import printable


class RunWriter:
    """A run's file, open for writing. One per run at a time: the caller holds ``lock.RunLock``."""

    def __init__(self, path: Path) -> None:
        """Open the file, create it where there is none, and bring an older one to this version.

        Raises:
            UsageError: the folder cannot be written.
            StoreError: not a run of ours, or one from a newer camtui.
            sqlite3.OperationalError: the disk is full.
        """
        self.path = path
        place = real(path)
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            os.close(descriptor)
            connection = sqlite3.connect(place, timeout=10, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                f"cannot write {printable(path)}: {printable(error)}",
                "choose another place: --db PATH",
            ) from error
        self._db = Database(connection, execute_plugins=False)
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
        execute = self._db.conn.execute
        (version,) = execute("PRAGMA user_version").fetchone()
        if execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            refuse_foreign(self._db.conn, self.path, "choose another --db")
        execute("PRAGMA trusted_schema=OFF")
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA foreign_keys=ON")
        if 0 < version < schema.SCHEMA_VERSION:
            self._back_up(version)
        with self._transaction():
            for script in schema.MIGRATIONS[version:]:
                for statement in script.split(";\n"):
                    execute(statement)
            execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
            execute(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
        sealing.keep_sealed(self._db.conn)

    def _back_up(self, version: int) -> None:
        """A whole copy beside the file before it is changed: ``NAME.db.v1``."""
        target = beside(self.path, f".v{version}")
        os.close(open_own(target, os.O_RDWR | os.O_CREAT, owner=os.stat(self.path).st_uid))
        with sqlite3.connect(target) as copy:
            self._db.conn.backup(copy)
        copy.close()

    def _transaction(self) -> _Immediate:
        return _Immediate(self._db.conn)

    def _table(self, name: str) -> Any:
        return self._db[name]

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in, also where somebody still reads.

        The file alone is the run then.
        """
        with suppress(
            sqlite3.Error
        ):  # a disk that is full, a reader that will not let go: the log stays beside the file
            self._db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.conn.close()

    # -- the run itself
    # ----------------------------------------------------------------------------------------------

    def begin(self, name: str, plan: RunPlan, manifest: Manifest) -> None:
        """Store a new run, or what a request adds to the stored one: images, backbones, cells.

        Raises:
            Mismatch: the files in the data folder are not those that the run was made from.
        """
        with self._transaction():
            stored = self._db.conn.execute("SELECT manifest_sha256 FROM run").fetchone()
            if stored is None:
                self._insert_run(name, plan, manifest)
            elif stored[0] != manifest.sha256:
                raise Mismatch(
                    _manifest_difference(self._db.conn, manifest),
                    "choose another --name for the changed data",
                )
            self._add_images(manifest)
            self._add_cells(plan)
            self._db.conn.execute(
                "UPDATE run SET plan = ?1, image_count = (SELECT count(*) FROM images), state "
                "= 'starting', message = '',"
                " worked = worked + coalesce(max(0, coalesce(finished, heartbeat) - "
                "coalesce(resumed, started)), 0),"
                " resumed = ?4,"
                " pid = ?2, host = ?3, started = coalesce(started, ?4), finished = NULL, "
                "heartbeat = ?4",
                (plan.to_json(), os.getpid(), socket.gethostname(), time.time()),
            )
            self._db.conn.execute("DELETE FROM workers")
        self._fold_in()

    def _fold_in(self) -> None:
        """Bring what is committed into the file itself.

        A copy without its write-ahead log is a run, if not all of it.
        """
        with suppress(sqlite3.Error):
            self._db.conn.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def withdraw(self, plan: RunPlan, info: RunInfo) -> None:
        """Take back what ``begin`` added for a request of which nothing was computed.

        Plan, labels and state as they were.
        """
        execute = self._db.conn.execute
        with self._transaction():
            execute("DELETE FROM stages")
            execute(
                "UPDATE images SET label = NULL WHERE label NOT NULL AND id IN (SELECT id FROM "
                "temp.unlabelled)"
            )
            execute("DELETE FROM images WHERE id >= ?", (info.image_count,))
            execute(
                "DELETE FROM cells WHERE backbone_id >= ? OR method NOT IN (SELECT value FROM "
                "json_each(?))",
                (len(plan.backbones), json.dumps(plan.methods)),
            )
            execute("DELETE FROM backbones WHERE id >= ?", (len(plan.backbones),))
            execute(
                "UPDATE run SET plan = ?, image_count = ?, state = ?, message = ?, finished = "
                "?, worked = ?, resumed = ?,"
                " heartbeat = ?",
                (
                    plan.to_json(),
                    info.image_count,
                    info.state,
                    info.message,
                    info.finished,
                    info.worked,
                    info.resumed,
                    info.heartbeat,
                ),
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
        self._table("run").insert(run)

    def _add_images(self, manifest: Manifest) -> None:
        (known,) = self._db.conn.execute("SELECT count(*) FROM images").fetchone()
        self._table("images").insert_all(
            (image._asdict() for image in manifest.images[known:]), batch_size=1000
        )
        self._db.conn.execute("DROP TABLE IF EXISTS temp.unlabelled")
        self._db.conn.execute(
            "CREATE TEMP TABLE unlabelled AS SELECT id FROM images WHERE label IS NULL"
        )
        labelled = [
            (image.label, image.id) for image in manifest.images[:known] if image.label is not None
        ]
        self._db.conn.executemany(
            "UPDATE images SET label = ? WHERE id = ? AND label IS NULL", labelled
        )

    def _add_cells(self, plan: RunPlan) -> None:
        for position, backbone in enumerate(plan.backbones):
            self._table("backbones").insert({"id": position, "name": backbone.name}, ignore=True)
            for method in plan.methods:
                self._db.conn.execute(
                    "INSERT INTO cells (backbone_id, method) SELECT ?1, ?2"
                    " WHERE NOT EXISTS (SELECT 1 FROM cells WHERE backbone_id = ?1 AND method "
                    "= ?2)",
                    (position, method),
                )

    def set_state(self, state: RunState, message: str = "") -> None:
        """The run's state, with the time it ended where it has."""
        finished = time.time() if state in ("stopped", "complete", "failed") else None
        self._db.conn.execute(
            "UPDATE run SET state = ?, message = ?, finished = ?, heartbeat = ?",
            (state, message, finished, time.time()),
        )

    def own_log(self, log: Path) -> None:
        """Remember that the log beside the file is the run's own."""
        self._db.conn.execute("UPDATE run SET log = ?", (printable(log.name),))

    def copy_to(self, target: Path) -> None:
        """A whole copy of the file, wherever it is now.

        Raises:
            UsageError: there is a file of that name, or it cannot be written.
        """
        copy_database(self._db.conn, target)

    def heartbeat(self, workers: Iterable[WorkerState] = ()) -> None:
        """The driver is alive, and so are these workers."""
        with self._transaction():
            self._db.conn.execute("UPDATE run SET heartbeat = ?", (time.time(),))
            self._table("workers").insert_all(
                (asdict(worker) for worker in workers), pk="id", replace=True
            )

    def add_versions(self, versions: Mapping[str, str]) -> None:
        """What computed the rows: torch, torchvision, device and the like.

        The newest says what the last session used.
        """
        (text,) = self._db.conn.execute("SELECT versions FROM run").fetchone()
        self._db.conn.execute(
            "UPDATE run SET versions = ?",
            (json.dumps({**json.loads(text), **versions}, sort_keys=True),),
        )

    def event(self, level: str, text: str) -> None:
        """One line of the run's history."""
        self._table("events").insert(
            {"time": time.time(), "level": level, "text": printable(text, 2000)}
        )

    # -- what a worker learns by loading a backbone
    # ---------------------------------------------------------------------------

    def set_backbone(self, position: int, loaded: LoadedBackbone) -> None:
        """Record a backbone at its first load; later loads must bring the same weights and layer.

        Raises:
            Mismatch: they do not.
        """
        (text,) = self._db.conn.execute(
            "SELECT loaded FROM backbones WHERE id = ?", (position,)
        ).fetchone()
        if text is None:
            self._db.conn.execute(
                "UPDATE backbones SET loaded = ? WHERE id = ?",
                (json.dumps(asdict(loaded)), position),
            )
            return
        stored, now = json.loads(text), json.loads(json.dumps(asdict(loaded)))
        for name in (
            "source",
            "sha256",
            "layer",
            "channels",
            "height",
            "width",
            "preprocessing",
            "score",
            "tokens",
        ):
            if name in stored and stored[name] != now[name]:
                raise Mismatch(
                    f"{loaded.key}: {name} is {now[name]}, the run was made with {stored[name]}",
                    "put the former network back, or choose another --name",
                )

    def describe_cell(self, cell: int, *, identity: str, applicable: bool, note: str) -> None:
        """What loading the backbone told about a cell.

        Raises:
            Mismatch: the cell has rows, and they were computed by another cell: other weights,
                method or protocol.
        """
        method, stored = self._db.conn.execute(
            "SELECT method, identity FROM cells WHERE id = ?", (cell,)
        ).fetchone()
        if stored not in (None, identity) and self._has_sealed_rows(cell):
            raise Mismatch(
                f"{printable(method)} is not what the run's rows were computed with",
                "choose another --name for what it is now",
            )
        self._db.conn.execute(
            "UPDATE cells SET identity = ?, applicable = ?, note = ? WHERE id = ?",
            (identity, applicable, note, cell),
        )

    def note_cells(self, backbone: str, note: str) -> None:
        """Say something of every cell of a backbone that has never been loaded.

        Why it has no rows.
        """
        self._db.conn.execute(
            "UPDATE cells SET note = ? WHERE identity IS NULL AND backbone_id = (SELECT id "
            "FROM backbones WHERE name = ?)",
            (printable(note, 300), backbone),
        )

    def remove(self, plan: RunPlan, cells: Sequence[int], positions: Sequence[int]) -> None:
        """Take cells out of the run, with everything that was computed for them.

        Args:
            plan: what is left of the run's plan.
            positions: backbones that go as a whole; those behind them move up.
        """
        execute = self._db.conn.execute
        with self._transaction():
            execute("PRAGMA defer_foreign_keys=ON")
            for cell in cells:
                for table in ("results", "measurements", "failures", "sums", "histograms"):
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
            execute("DELETE FROM looks")
            execute("UPDATE run SET plan = ?", (plan.to_json(),))

    def _has_sealed_rows(self, cell: int) -> bool:
        query = "SELECT 1 FROM results WHERE cell_id = ? AND checksum NOT NULL LIMIT 1"
        return self._db.conn.execute(query, (cell,)).fetchone() is not None

    def set_labels(self, labels: Iterable[tuple[int, int]]) -> None:
        """``(image, class index)`` for images whose label was unknown."""
        with self._transaction():
            rows = [(label, image) for image, label in labels]
            self._db.conn.executemany(
                "UPDATE images SET label = ? WHERE id = ? AND label IS NULL", rows
            )

    def replace_labels(self, labels: Iterable[tuple[int, int | None]]) -> None:
        """``(image, class index)``, ``None`` for unknown, whatever was known before."""
        with self._transaction():
            rows = [(label, image) for image, label in labels]
            self._db.conn.executemany(
                "UPDATE images SET label = ?1 WHERE id = ?2 AND label IS NOT ?1", rows
            )

    def set_stages(self, stages: Sequence[Stage]) -> None:
        """The stages of this session, with the times that they bring along."""
        with self._transaction():
            self._db.conn.execute("DELETE FROM stages")
            self._db.conn.executemany(
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
        """Other cells or costs for a stage, now that its backbone is known; times measured stay."""
        self._db.conn.execute(
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
        """What the plan's rule has decided so far; ``None`` where the plan has none."""
        with self._transaction():
            self._db.conn.execute("DELETE FROM looks")
            if look is not None:
                self._db.conn.execute(
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

    # -- results
    # ----------------------------------------------------------------------------------------------

    def commit(self, result: UnitResult, *, stage: int | None = None, images: int = 0) -> int:
        """Store what a unit brought: rows, their share of the sums, failures; all or nothing.

        What is there already is dropped: a unit may come twice. A row removes the failure that it
        mends. What was made from another file than the rows of that image before becomes a failure.

        Returns:
            How many rows and measurements were new.
        """
        with self._transaction():
            result = self._from_the_same_files(result)
            rows = self._new_rows(result.rows)
            measurements = self._new_measurements(result.measurements)
            failures = self._new_failures(result.failures)
            self._insert_sealed(rows, measurements)
            self._table("failures").insert_all(
                {**_as_record(f), "time": time.time()} for f in failures
            )
            self._mend(
                [(r.cell, r.image, "") for r in rows]
                + [(m.cell, m.image, m.metric) for m in measurements]
            )
            self._add_to_sums(rows, measurements, self._arcc_sources(measurements))
            if stage is not None:
                self._db.conn.execute(
                    "UPDATE stages SET seconds = seconds + ?, timed_images = timed_images + ? "
                    "WHERE id = ?",
                    (result.seconds, images, stage),
                )
        return len(rows) + len(measurements)

    def _from_the_same_files(self, result: UnitResult) -> UnitResult:
        """The result with failures in place of what was made from changed images.

        The first content of an image is remembered.
        """
        execute = self._db.conn.execute
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
        execute = self._db.conn.execute
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
            """Cell and file; neither where it comes from a row of version 1.

            Whose file may become known later.
            """
            path, content = files[measured.image]
            return (identities[measured.cell] if content is not None else ""), path, content

        self._table("results").insert_all(
            {
                **_as_record(row),
                "checksum": row_checksum(row, identities[row.cell], *files[row.image]),
            }
            for row in rows
        )
        self._table("measurements").insert_all(
            {**_as_record(m), "checksum": measurement_checksum(m, *origin(m))} for m in measurements
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
        execute = self._db.conn.execute
        return {key for key in keys if execute(query, key).fetchone() is not None}

    def _mend(self, keys: list[tuple[int, int, str]]) -> None:
        self._db.conn.executemany(
            "DELETE FROM failures WHERE cell_id = ? AND image_id = ? AND metric = ?", keys
        )

    def _arcc_sources(self, measurements: Sequence[Measurement]) -> list[ArccSources]:
        """What the measurements of ARCC among these were computed from.

        All of it is stored by now.
        """
        query = f"{ARCC_SOURCES} AND a.cell_id = ? AND a.image_id = ?"
        keys = [(one.cell, one.image) for one in measurements if one.metric == "arcc"]
        return [ArccSources(*row) for key in keys for row in self._db.conn.execute(query, key)]

    def _add_to_sums(
        self, rows: Iterable[Row], measurements: Iterable[Measurement], arcc: Iterable[ArccSources]
    ) -> None:
        sums, bins = sums_of(rows, measurements, arcc)
        self._db.conn.executemany(
            "INSERT INTO sums (cell_id, a, b, n, total) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = n + excluded.n, total = total + excluded.total",
            [(*key, n, total) for key, (n, total) in sums.items()],
        )
        self._db.conn.executemany(
            "INSERT INTO histograms (cell_id, metric, bin, n) VALUES (?, ?, ?, ?) ON CONFLICT "
            "DO UPDATE SET n = n + excluded.n",
            [(*key, n) for key, n in bins.items()],
        )

    def rebuild_sums(
        self,
        rows: Iterable[Row],
        measurements: Iterable[Measurement],
        arcc: Iterable[ArccSources] = (),
    ) -> None:
        """Replace the running sums and histograms by those of every row.

        Measurement that the file holds.
        """
        with self._transaction():
            self._db.conn.execute("DELETE FROM sums")
            self._db.conn.execute("DELETE FROM histograms")
            self._add_to_sums(rows, measurements, arcc)

    def drop_damaged(
        self,
        measured: Sequence[tuple[int, int, str]],
        records: Sequence[tuple[str, tuple[Any, ...]]],
    ) -> int:
        """Delete records that are not what was written, as far as they can be made again.

        The run is then not complete.

        Args:
            measured: (cell, image, metric) of rows, metric ``''``, and measurements. A row takes
            its measurements along. records: table and key of others.

        Returns:
            How many rows and measurements are gone.
        """
        execute = self._db.conn.execute
        dropped = 0
        with self._transaction():
            for cell, image, metric in measured:
                if not metric:
                    dropped += execute(
                        "DELETE FROM results WHERE cell_id = ? AND image_id = ?", (cell, image)
                    ).rowcount
                query = "DELETE FROM measurements WHERE cell_id = ?1 AND image_id = ?2 AND ?3 IN (metric, '')"
                dropped += execute(query, (cell, image, metric)).rowcount
            for table, key in records:
                if table in _MADE_AGAIN:
                    places = " AND ".join(f"{column} = ?" for column in _MADE_AGAIN[table])
                    execute(f"DELETE FROM {table} WHERE {places}", key)
            execute("DELETE FROM failures WHERE reason = 'damaged-row'")
        if dropped:
            self.set_state(
                "stopped",
                "damaged rows were dropped: what they held is computed again when the run goes on",
            )
        return dropped

    def seal_all(self) -> int:
        """Give every record that has no checksum one.

        Returns how many rows and measurements had none.
        """
        execute = self._db.conn.execute
        path = "(SELECT path FROM images WHERE id = image_id)"
        with self._transaction():
            sealed = 0
            for table, kind, function in (
                ("results", Row, _late_row_checksum),
                ("measurements", Measurement, _late_checksum),
            ):
                columns = ", ".join(_RENAMED.get(name, name) for name in _COLUMNS[kind])
                self._db.conn.create_function(function.__name__, -1, function)
                update = f"UPDATE {table} SET checksum = {function.__name__}({path}, {columns}) WHERE checksum IS NULL"
                sealed += execute(update).rowcount
            for other in sealing.sealed_tables(self._db.conn):
                column = other.columns[-1]
                execute(f"UPDATE {other.name} SET {column} = {column} WHERE checksum IS NULL")
            execute("UPDATE run SET born = ?", (schema.SCHEMA_VERSION,))
        return sealed

    def forget_failures(self) -> int:
        """Drop every failure, so that the next session tries those images again.

        Returns how many there were.
        """
        return self._db.conn.execute("DELETE FROM failures").rowcount


class _Immediate:
    """``BEGIN IMMEDIATE`` … ``COMMIT``: the write lock is taken before the first read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:  # also where COMMIT itself found the disk full
                self._connection.execute("ROLLBACK")


_COLUMNS = {
    kind: tuple(field.name for field in fields(kind)) for kind in (Row, Measurement, Failure)
}
_RENAMED = {"cell": "cell_id", "image": "image_id"}


_MADE_AGAIN = {
    "failures": ("cell_id", "image_id", "metric"),
    "events": ("id",),
    "stages": ("id",),
    "workers": ("id",),
}
"""Tables whose damaged records may go, with their keys: a session writes them anew, or tries again
what they say has failed.
"""


def _late_row_checksum(path: bytes, *values: Any) -> bytes:
    """Of a row that is sealed after it was written.

    Which cell and file it was made from is not known.
    """
    return row_checksum(Row(*values), "", path, None)


def _late_checksum(path: bytes, *values: Any) -> bytes:
    return measurement_checksum(Measurement(*values), "", path, None)


def _as_record(record: Row | Measurement | Failure) -> dict[str, Any]:
    return {_RENAMED.get(name, name): getattr(record, name) for name in _COLUMNS[type(record)]}


def _manifest_difference(connection: sqlite3.Connection, manifest: Manifest) -> str:
    """In one line: how the folder differs from what the run was made from.

    As far as its stored images tell.
    """
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
    return f"the data folder has changed since the run began: {'; '.join(parts) or 'files were added or removed'}"
