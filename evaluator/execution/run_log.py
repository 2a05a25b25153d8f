"""The run's log: a standard logger that writes its lines to standard error.

Standard error of a detached driver and of its workers is the log file. The launcher has opened it
with ``store.files.open_log``, which follows no link and takes only a regular file of the user's own
with one name. So nothing is opened here, and no file is opened twice.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress

_SHELL = str.maketrans({character: f"\\x{ord(character):02x}" for character in "`$;&|<>"})
"""Characters that a shell acts on: lines contain names of files, and a shell may read a log."""


class LineFormatter(logging.Formatter):
    """``2026-11-25 02:19:16 warning text``, with characters that a shell acts on escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; the traceback of an exception follows on lines of its own."""
        record.level = record.levelname.lower()
        return super().format(record).translate(_SHELL)


def escape_surrogates(record: logging.LogRecord) -> bool:
    """Filter of a logger: names of files that are no Unicode become text that can be encoded."""
    text = record.getMessage()
    record.msg, record.args = text.encode("utf-8", "backslashreplace").decode(), ()
    return True


class StandardErrorHandler(logging.Handler):
    """Writes each record to descriptor 2 with one system call.

    Processes that append to one file thus never mix their lines. The log is on the run's own disk:
    a line for which there is no room is lost, and the run goes on.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; never raises, also where the disk is full or the terminal is gone."""
        with suppress(OSError):
            os.write(2, f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))


MOST_LOG_BYTES = 64 * 2**20
"""Of a log; a method that prints for every image fills a disk otherwise."""

_KEPT_BYTES = 2**20
"""Of the beginning of a log that is cut."""


def bound_log(descriptor: int = 2, most: int = MOST_LOG_BYTES, kept: int = _KEPT_BYTES) -> int:
    """Cut a log that has grown too long to its beginning, with a line that says so.

    Args:
        descriptor: of the log, open to be written at its end.

    Returns:
        How many bytes were dropped.
    """
    with suppress(OSError):
        size = os.fstat(descriptor).st_size
        if size > most:
            os.ftruncate(descriptor, kept)
            os.write(descriptor, b"\n")
            LOGGER.warning(f"the log was longer than {most} bytes: {size - kept} bytes are dropped")
            return size - kept
    return 0


def _run_logger() -> logging.Logger:
    logger = logging.getLogger("camtui.run")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Ray gives the root logger a handler of its own
    if not logger.handlers:
        logger.addFilter(escape_surrogates)
        handler = StandardErrorHandler()
        handler.setFormatter(LineFormatter())
        logger.addHandler(handler)
    return logger


LOGGER = _run_logger()

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
"""Level of a run's event → level of its line in the log."""
