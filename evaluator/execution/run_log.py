"""Lines for the log on standard error.

The log lies on the run's own disk: a line that finds no room is lost, the run is not.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from traceback import format_exc

_SHELL = str.maketrans({character: f"\\x{ord(character):02x}" for character in "`$;&|<>"})
"""What a shell would act on. Names stand in these lines, and a log may end up where a shell reads
it.
"""


def log(level: str, text: str) -> None:
    """One line with its time; never raises.

    Also where the disk is full or the terminal has gone.
    """
    _write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<7} {text.translate(_SHELL)}\n")


def log_traceback() -> None:
    """The exception that is being handled, for whoever mends the code."""
    _write(format_exc().translate(_SHELL))


def _write(text: str) -> None:
    with suppress(OSError):
        os.write(2, text.encode("utf-8", "backslashreplace"))
