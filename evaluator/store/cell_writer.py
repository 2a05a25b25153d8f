"""The cells of a run and the backbones they belong to: what loading told, and taking them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from evaluator.errors import Mismatch
from evaluator.plan import RunPlan
from evaluator.records import LoadedBackbone
from evaluator.store.writable import WritableFile
from evaluator.text import printable

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
        (text,) = self._file.execute(
            "SELECT loaded FROM backbones WHERE id = ?", (position,)
        ).fetchone()
        if text is None:
            self._file.execute(
                "UPDATE backbones SET loaded = ? WHERE id = ?",
                (json.dumps(asdict(loaded)), position),
            )
            return
        stored, now = json.loads(text), json.loads(json.dumps(asdict(loaded)))
        for name in _UNCHANGED:
            if name in stored and stored[name] != now[name]:
                raise Mismatch(
                    f"{loaded.key}: {name} is {now[name]}, the run was made with {stored[name]}",
                    "put the former network back, or choose another --name",
                )
        self.remark(position, loaded.remarks)

    def remark(self, position: int, remarks: Sequence[str]) -> None:
        """Add to what is said of a backbone that has been loaded; nothing is said twice."""
        (text,) = self._file.execute(
            "SELECT loaded FROM backbones WHERE id = ?", (position,)
        ).fetchone()
        stored = json.loads(text)
        said = list(dict.fromkeys([*stored.get("remarks", ()), *remarks]))
        if said != list(stored.get("remarks", ())):
            self._file.execute(
                "UPDATE backbones SET loaded = ? WHERE id = ?",
                (json.dumps({**stored, "remarks": said}), position),
            )

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
