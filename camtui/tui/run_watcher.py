"""The run that is open: polled, and shown on the screen in front."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from textual.app import App, ScreenStackError

from camtui.feed import Snapshot
from camtui.runs import list_runs
from camtui.tui.messages import RunFound
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.base import RunScreen
from evaluator.errors import CamtuiError


class RunWatcher:
    """The connection to the run that is open; without one, the wait for the first run.

    Attributes:
        connection: ``None`` while there is no run.
    """

    def __init__(self, app: App[int], path: Path | None) -> None:
        """Open a run, if there is one.

        Raises:
            CamtuiError: it cannot be read.
        """
        self._app = app
        self.connection = RunConnection(path) if path else None

    @property
    def latest(self) -> Snapshot | None:
        """The last snapshot that was read, displayed or not."""
        return self.connection.latest if self.connection else None

    def open(self, path: Path) -> RunConnection | None:
        """Open another run in place of this one.

        Returns:
            The connection to the run that was open, to be closed once no screen uses it.

        Raises:
            CamtuiError: it cannot be read; the run that is open stays open.
        """
        old, self.connection = self.connection, RunConnection(path)
        return old

    async def close(self) -> None:
        """Close the run."""
        if self.connection is not None:
            await asyncio.to_thread(self.connection.close)

    async def poll(self) -> None:
        """Read what is new of the run, and show it."""
        connection = self.connection
        if connection is None:
            self._look_for_a_run()
            return
        state = connection.latest.status.state
        try:
            is_new = await connection.poll()
        except asyncio.CancelledError:
            if self.connection is connection:
                raise
            return  # another run was opened while this reading waited its turn
        if self.connection is not connection:
            return
        if connection.latest.status.state != state:
            self._app.screen.refresh_bindings()  # another state allows other keys
        if is_new and not connection.frozen:
            self.show()
        elif isinstance(self._app.screen, RunScreen):
            self._app.screen.tick()

    def show(self) -> None:
        """Show the displayed snapshot on the screen in front."""
        with suppress(ScreenStackError):  # the application closes
            if isinstance(self._app.screen, RunScreen):
                self._app.screen.show_snapshot()

    def _look_for_a_run(self) -> None:
        """Open the first run; one that is just being made is tried again at the next poll."""
        runs = list_runs()
        if not runs:
            return
        with suppress(CamtuiError):
            self.connection = RunConnection(runs[0])
            self._app.post_message(RunFound())
