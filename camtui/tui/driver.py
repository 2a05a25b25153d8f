"""The terminal below the dashboard: Textual's driver, kept alive by what terminals really send.

A byte that is no UTF-8 is dropped, a termination puts the terminal back as it was, and Ctrl-Z
suspends. Textual alone ends at the first, leaves a raw terminal behind at the second, and takes
the shell's words for keys after the third.
"""

from __future__ import annotations

import asyncio
import codecs
import signal
from functools import partial
from typing import TYPE_CHECKING

from textual.drivers import linux_driver

if TYPE_CHECKING:
    from codecs import IncrementalDecoder

ENDED_BY = 128
"""Plus the signal's number: the exit code of a process that a signal ends."""


def _lenient(encoding: str) -> partial[IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="ignore")


class TerminalDriver(linux_driver.LinuxDriver):
    """Textual's driver for terminals; see the module."""

    def run_input_thread(self) -> None:
        """Read keys until the dashboard ends; bytes that are no UTF-8 are dropped."""
        # the decoder is made inside, by this name, and fails at the first wrong byte
        linux_driver.getincrementaldecoder = _lenient  # type: ignore[assignment, attr-defined]
        super().run_input_thread()

    def start_application_mode(self) -> None:
        """Take the terminal; a termination gives it back before the process ends."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, self._end, ENDED_BY + number)

    def _end(self, code: int) -> None:
        self._app.exit(code)
