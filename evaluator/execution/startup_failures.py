"""Ends a run whose workers die again and again before any of them has begun a unit."""

from __future__ import annotations

from evaluator.errors import RunFailed

MOST = 5
"""Startup failures in a row that end a run: something is wrong with the machine, not with an image.

Four times as many once a backbone has been loaded: the machine was able to then, and may be again.
"""


class StartupFailures:
    """Deaths of workers in a row, none of which had begun a unit."""

    def __init__(self, hint: str) -> None:
        """Begin with none.

        Args:
            hint: the command that shows why the workers die.
        """
        self._count = 0
        self._hint = hint

    def reset(self) -> None:
        """A worker has begun a unit, or another one is left to try."""
        self._count = 0

    def add(self, reason: str, *, loaded_once: bool) -> None:
        """Count a worker that died before it began a unit.

        Raises:
            RunFailed: there were too many in a row.
        """
        self._count += 1
        if self._count >= (4 * MOST if loaded_once else MOST):
            raise RunFailed(f"workers die before they compute anything ({reason})", self._hint)
