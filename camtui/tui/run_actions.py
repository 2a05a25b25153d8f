"""Stop, resume, retry and export.

A question whose answer at hand is No, the action in a thread, a toast with its result.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

from textual.app import App

from camtui.tui import child_commands
from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.dialogs import AskForPath, Choice, Question
from camtui.tui.toasts import toast
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader

T = TypeVar("T")

_FORMS = {
    "md": ("Markdown table", ".md"),
    "latex": ("LaTeX table", ".tex"),
    "csv": ("CSV, fractions at full precision", ".csv"),
    "json": ("JSON", ".json"),
    "csv-images": ("CSV, one line per image and cell", "-images.csv"),
}


async def perform(app: App[int], connection: RunConnection, action: str) -> None:
    """Ask the user, do it, report the result."""
    path = connection.path
    if action == "export":
        await _export(app, path)
        return
    name = connection.latest.info.name
    questions = {
        "stop": (
            f"Stop the run {name}?",
            [Choice("stop", "Stop after what is being computed"), Choice("now", "Stop at once")],
        ),
        "resume": (f"Go on with the run {name}?", [Choice("resume", "Resume")]),
        "retry": (f"Try the failed images of {name} again?", [Choice("retry", "Retry")]),
    }
    answer = await app.push_screen_wait(Question(*questions[action]))
    if not answer:
        return
    begun = {"stop": "asked it to stop", "now": "asked it to stop at once"}
    toast(app, begun.get(answer, "starting its driver"))
    actions: dict[str, Callable[[Path], child_commands.CommandResult]] = {
        "stop": partial(child_commands.stop, now=False),
        "now": partial(child_commands.stop, now=True),
        "resume": child_commands.resume,
        "retry": child_commands.retry,
    }
    result = await _in_daemon_thread(partial(actions[answer], path))
    toast(app, result.line or "done", "error" if result.code else "information")


async def _in_daemon_thread(act: Callable[[], T]) -> T:
    """Wait for something in a thread that the interpreter does not wait for at its end.

    ``camtui stop`` waits for what is being computed, minutes perhaps: whoever leaves the dashboard
    meanwhile must get away.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T) -> None:
        if not future.cancelled():
            future.set_result(result)

    def work() -> None:
        result = act()
        with suppress(RuntimeError):  # the dashboard is gone, and nobody waits
            loop.call_soon_threadsafe(settle, result)

    Thread(target=work, daemon=True).start()
    return await future


async def _export(app: App[int], path: Path) -> None:
    choices = [Choice(key, words) for key, (words, _) in _FORMS.items()]
    form = await app.push_screen_wait(Question("Export as", choices, refuse="Nothing"))
    if not form:
        return
    suggestion = str(Path.cwd() / f"{path.stem}{_FORMS[form][1]}")
    target = await app.push_screen_wait(AskForPath("Write to", suggestion))
    if not target:
        return
    file = Path(target).expanduser()
    over = file.exists()
    if over and not await app.push_screen_wait(
        Question(f"{file} is there already.", [Choice("over", "Write over it")])
    ):
        return
    try:
        written = await asyncio.to_thread(_write, path, form, file, over=over)
    except (CamtuiError, sqlite3.Error, OSError) as error:
        toast(app, str(error), "error")
    else:
        toast(app, f"wrote {', '.join(map(str, written))}")


def _write(path: Path, form: str, target: Path, *, over: bool) -> list[Path]:
    from camtui.export import ExportRequest, export_file

    request = ExportRequest("csv" if form == "csv-images" else form, per_image=form == "csv-images")
    with RunReader(path) as reader:
        return export_file(reader, request, target, force=over)
