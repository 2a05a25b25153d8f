"""Everything in the production code that exists for tests alone; inert unless its variable is set.

``CAMTUI_DRIVER``: driver settings as JSON, which are added to those of the command line: another
session, shorter time limits. ``CAMTUI_CRASH_AT``: a crash point, ``NAME`` or ``NAME:n``, at which
the process kills itself with SIGKILL when it gets there (for the n-th time).
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import Any

_passed: Counter[str] = Counter()


def settings_overrides() -> dict[str, Any]:
    """Fields of ``DriverSettings`` from ``CAMTUI_DRIVER``; none where it is not set."""
    overrides: dict[str, Any] = json.loads(os.environ.get("CAMTUI_DRIVER", "{}"))
    return overrides


def crash_point(name: str) -> None:
    """Kill this process if ``CAMTUI_CRASH_AT`` names this point."""
    wanted, _, nth = os.environ.get("CAMTUI_CRASH_AT", "").partition(":")
    if wanted != name:
        return
    _passed[name] += 1
    if _passed[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
