"""Paired differences of large runs, kept from one command to the next.

A table marks the methods that are not separated from the best. Each such pair reads two methods
image by image: 0.3 s for 50,000 images, seconds for a table of 24. What was found is kept in
``differences.json`` beside the folder of runs. The key is the run's file and the checksums of both
methods' running sums, so that a new row, a repaired one or another run asks anew.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from camtui.runs import not_mine, runs_home, write_private
from evaluator.statistics import PairedDifference
from evaluator.store.reader import RunReader

FEWEST_IMAGES = 2_000
"""Smaller runs are read anew each time, which takes less than a moment."""

_MOST = 20_000
"""Differences that are kept; the oldest go."""

_FORMAT = 1
"""To be raised when the test changes."""


def differences_file() -> Path:
    """Return the file of what is known."""
    return runs_home().parent / "differences.json"


class KnownDifferences:
    """``Averages.paired`` of one run, which asks the run only for what is not known yet."""

    def __init__(self, reader: RunReader) -> None:
        """Nothing is read before the first question.

        Args:
            reader: of the run.
        """
        self._reader = reader
        self._sums: dict[int, bytes] | None = None
        self._run = ""
        self._known: dict[str, list[float | int | None] | None] = {}
        self._new = False

    def paired(self, metric: str, first: int, second: int) -> PairedDifference | None:
        """Return first minus second, as ``Averages.paired``."""
        key = self._key(metric, first, second)
        if key in self._known:
            stored = self._known.pop(key)
            self._known[key] = stored  # asked for last: the last to go
            return _difference(stored)
        found = self._reader.averages.paired(metric, first, second)
        if key:
            self._known[key] = [found.n, found.value, found.se] if found else None
            self._new = True
        return found

    def keep(self) -> None:
        """Write what was found; where that cannot be, it is found again next time."""
        if not self._new:
            return
        newest = dict(list(self._known.items())[-_MOST:])
        with suppress(OSError):
            write_private(
                differences_file(), json.dumps({"format": _FORMAT, "differences": newest})
            )
        self._new = False

    def _key(self, metric: str, first: int, second: int) -> str:
        """Return what a difference is known by, empty where it is not to be kept."""
        if self._sums is None:
            info = self._reader.info()
            path = os.path.realpath(self._reader.path)
            # a run that is put in a bundle is called as it will be there, where no file is yet
            kept = info.image_count >= FEWEST_IMAGES and os.path.exists(path)
            self._sums = self._reader.checks.of_sums() if kept else {}
            self._known = _stored() if self._sums else {}
            if self._sums:
                self._run = f"{path} {os.stat(path).st_ino} {info.created}"
        if first not in self._sums or second not in self._sums:
            return ""
        sums = self._sums[first].hex(), self._sums[second].hex()
        return sha256("\n".join((self._run, metric, *sums)).encode("utf-8", "replace")).hexdigest()[
            :32
        ]


def _stored() -> dict[str, list[float | int | None] | None]:
    file = differences_file()
    if not_mine(file):
        return {}
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = json.loads(file.read_text("utf-8"))
        if found["format"] == _FORMAT:
            return {key: stored for key, stored in found["differences"].items() if _sound(stored)}
    return {}


def _sound(stored: object) -> bool:
    if stored is None:
        return True
    if not isinstance(stored, list) or len(stored) != 3 or type(stored[0]) is not int:
        return False
    return isinstance(stored[1], float) and (stored[2] is None or isinstance(stored[2], float))


def _difference(stored: list[float | int | None] | None) -> PairedDifference | None:
    if stored is None:
        return None
    n, value, se = stored
    assert isinstance(n, int)
    assert value is not None
    return PairedDifference(n, value, se)
