"""A driver whose clock is off by the seconds that a file names: a clock that is set while it runs.

Its heartbeats come more often than usual.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from evaluator.execution import driver, loop
from evaluator.execution.request import RunRequest

_now = time.time


def now() -> float:
    return _now() + float(Path(os.environ["CAMTUI_TEST_CLOCK"]).read_text())


def say(line: dict[str, Any]) -> None:
    if "progress" not in line:
        print(line, flush=True)


if __name__ == "__main__":
    time.time = now
    loop.HEARTBEAT_SECONDS = 0.1
    request = RunRequest.from_json(sys.argv[1])
    sys.exit(driver.carry_out(request, say))
