"""A dashboard without a terminal, and the questions that a test asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from camtui.tui.app import Dashboard
from camtui.tui.run_connection import RunConnection
from camtui.tui.theme import DEFAULTS, Settings
from camtui.tui.widgets.fields import TextLines
from camtui.tui.widgets.table import LineTable
from tests.evaluator.execution.support import PATIENCE

__all__ = ["SIZES", "DashboardTester", "Settings", "opened", "toasts"]

SIZES = {"small": (60, 16), "usual": (80, 24), "large": (140, 40), "huge": (200, 55)}


class DashboardTester:
    """One dashboard under test."""

    def __init__(self, app: Dashboard, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def ask(self, key: str, screen: str = "Question") -> None:
        """Press a key, and wait for the dialog that it opens."""
        await self.press(key)
        await self.on(screen)

    async def on(self, screen: str) -> None:
        """Until a screen of that name is in front, and whole."""
        await self.until(lambda: self.screen_name() == screen)
        await self.settle()

    async def settle(self) -> None:
        """Until nothing that was asked is unanswered."""
        for _ in range(400):
            await self.pilot.pause()
            busy = [
                worker
                for worker in self.app.workers
                if not worker.is_finished and worker.group != "actions"
            ]
            if not busy:
                return
            await asyncio.sleep(0.005)

    async def until(self, true: Callable[[], Any]) -> None:
        """Until something is so; fails after some minutes: other work may fill the machine."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, f"never came true; the screen:\n{self.text()}"
            await self.pilot.pause(0.02)

    @property
    def connection(self) -> RunConnection:
        """The connection to the run that is open."""
        connection = self.app.connection
        assert connection is not None
        return connection

    def screen_name(self) -> str:
        return type(self.app.screen).__name__

    def text(self) -> str:
        """The screen as a person sees it, without colours."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in lines)

    def part(self, id_: str) -> str:
        return self.app.screen.query_one(f"#{id_}", TextLines).text

    def heading(self, id_: str) -> str:
        """What stands in the rule above a panel."""
        return str(self.app.screen.query_one(f"#{id_}", TextLines).border_title)

    def table(self, id_: str = "grid") -> LineTable:
        return self.app.screen.query_one(f"#{id_}", LineTable)

    def cells(self, id_: str = "grid") -> list[list[str]]:
        return [[field.text.strip() for field in line.fields] for line in self.table(id_).lines]


def toasts(tester: DashboardTester) -> str:
    """Every toast so far."""
    return "\n".join(toast.message for toast in tester.app._notifications)


@asynccontextmanager
async def opened(
    path: Path | None, size: tuple[int, int] = SIZES["usual"], settings: Settings = DEFAULTS
) -> AsyncIterator[DashboardTester]:
    app = Dashboard(path, settings)
    async with app.run_test(size=size) as pilot:
        tester = DashboardTester(app, pilot)
        await tester.settle()
        yield tester
