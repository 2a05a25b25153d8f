"""Stop, resume, retry and export.

A question whose answer at hand is No, the action in a thread, a toast with its result.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

from textual.app import App

from camtui.tui.run_connection import RunConnection
from camtui.tui.screens.dialogs import AskForPath, Choice, Question
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from evaluator.text import printable

_MAIN = "from camtui.cli import main; main()"


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command and its last line."""

    code: int
    line: str


def run_command(*words: str) -> CommandResult:
    """Run ``camtui WORDS`` without a terminal and wait for it. Blocking.

    It runs in a session of its own: a dashboard that is killed while it starts a driver takes
    nothing with it.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", _MAIN, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return CommandResult(done.returncode, printable((errors or lines or [""])[-1], 300))


T = TypeVar("T")

_FORMS = {
    "md": ("Markdown table", ".md"),
    "latex": ("LaTeX table", ".tex"),
    "csv": ("CSV, fractions at full precision", ".csv"),
    "json": ("JSON", ".json"),
    "csv-images": ("CSV, one line per image and method", "-images.csv"),
}


_QUESTIONS = {
    "stop": (
        "Stop the run {}?",
        [Choice("stop", "Stop after what is being computed"), Choice("now", "Stop at once")],
    ),
    "resume": ("Go on with the run {}?", [Choice("resume", "Resume")]),
    "retry": ("Try the failed images of {} again?", [Choice("retry", "Retry")]),
}
_COMMANDS = {
    "stop": (("stop", "--yes"), "asked it to stop"),
    "now": (("stop", "--yes", "--now"), "asked it to stop at once"),
    "resume": (("resume", "--detach"), "starting its driver"),
    "retry": (("retry", "--detach"), "starting its driver"),
}
"""Answer → the command, its options, and what is said meanwhile."""


async def perform(app: App[int], connection: RunConnection, action: str) -> None:
    """Ask the user, do it, report the result."""
    path = connection.path
    if action == "export":
        await _export(app, path)
        return
    question, choices = _QUESTIONS[action]
    name = connection.latest.info.name
    answer = await app.push_screen_wait(Question(question.format(name), choices))
    if not answer:
        return
    words, begun = _COMMANDS[answer]
    app.notify(begun)
    command, *options = words
    result = await _in_daemon_thread(partial(run_command, command, str(path), *options))
    app.notify(result.line or "done", severity="error" if result.code else "information")


async def start_demo(app: App[int]) -> None:
    """Start the demo, and report why it could not be."""
    app.notify("starting the demo")
    result = await _in_daemon_thread(partial(run_command, "run", "--demo", "--detach"))
    if result.code:
        app.notify(result.line, severity="error", timeout=30)


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
        app.notify(str(error), severity="error")
    else:
        app.notify(f"wrote {', '.join(map(str, written))}")


def _write(path: Path, form: str, target: Path, *, over: bool) -> list[Path]:
    from camtui.export import ExportRequest, export_file

    request = ExportRequest("csv" if form == "csv-images" else form, per_image=form == "csv-images")
    with RunReader(path) as reader:
        return export_file(reader, request, target, force=over)
