"""Commands that look after one run: status, wait, stop, resume, retry, logs, rm."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from camtui.cli import completing
from camtui.cli.app import JsonOption, RunArgument, YesOption, app, confirm, narrate, print_json
from camtui.executors import AddressOption, ExecutorOption, GpusOption, RayOptions, choose
from camtui.runs import LAST, find_run, list_runs, reference
from camtui.status import RunStatus, read_status
from evaluator.errors import NotFound, TryAgain, UsageError
from evaluator.store.lock import RunLock, lock_holder
from evaluator.text import printable

DeviceOption = Annotated[str | None, typer.Option("--device", help="cpu, cuda (all), cuda:0,cuda:2.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Worker processes.")]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Return as soon as the run is under way.")]
ForegroundOption = Annotated[bool, typer.Option("--foreground", "-F", help="Run in this process.")]
NoWatchOption = Annotated[bool, typer.Option("--no-watch", help="Plain lines instead of the dashboard.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No narration, only the result.")]
LiveArgument = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Default: the one that is running.", autocompletion=completing.runs)
]

_NOW_SECONDS = 10.0
"""A driver that ``stop --now`` has not ended by then is killed; nothing that was committed is lost by it."""


def status_of(path: Path) -> RunStatus:
    """The status of the run in a file."""
    from evaluator.store.reader import RunReader

    with RunReader(path) as reader:
        return read_status(reader, path)


def status_json(status: RunStatus) -> dict[str, Any]:
    """A status as programs read it."""
    return {
        "run": status.name, "db": os.fsdecode(status.path), "state": status.state, "message": status.message,
        "pid": status.pid, "images": status.images, "progress": round(status.progress, 6), "stage": status.stage,
        "stage_number": status.stage_number, "stages": status.stages, "done": status.done, "total": status.total,
        "images_per_second": status.rate, "eta_seconds": status.eta, "elapsed_seconds": status.elapsed,
        "failures": status.failures, "workers": status.workers, "restarts": status.restarts,
        "heartbeat_age_seconds": status.heartbeat_age, "advice": status.advice,
    }  # fmt: skip


@app.command()
def status(
    run: RunArgument = LAST,
    json: JsonOption = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 0 running or complete, 1 failed or crashed, 3 stopped.")] = False,
) -> None:
    """Show how a run is doing, and what to type now.

    Example: camtui status val --json
    """
    found = status_of(find_run(run))
    if json:
        print_json(status_json(found))
    else:
        for line in _status_lines(found):
            print(line)
    if check:
        raise typer.Exit(found.check_code)


def _status_lines(found: RunStatus) -> list[str]:
    from camtui.format.numbers import count, duration, rate

    lines = [f"run       {found.name} ({printable(found.path)})"]
    state = f"{found.state}, pid {found.pid}" if found.pid else found.state
    lines.append(f"state     {state}{': ' + found.message if found.message else ''}")
    if found.stage:
        lines.append(
            f"stage     {found.stage_number} of {found.stages}: {found.stage}, {count(found.done)} of {count(found.total)}"
        )
    speed = f", {rate(found.rate)}" if found.rate else ""
    left = f", {duration(found.eta)} left" if found.eta is not None else ""
    lines.append(f"progress  {found.progress:.1%} after {duration(found.elapsed)}{speed}{left}")
    lines.append(f"images    {count(found.images)}")
    if found.failures:
        lines.append(f"failures  {count(found.failures)}: camtui errors {reference(found.path)}")
    if found.restarts:
        lines.append(f"restarts  {count(found.restarts)} of workers: camtui logs {reference(found.path)}")
    return [*lines, f"next      {found.advice}"]


@app.command()
def wait(
    run: RunArgument = LAST,
    timeout: Annotated[str, typer.Option(metavar="90s|30m|2h", help="Give up after so long, with exit code 124.")] = "",
) -> None:
    """Wait until a run has ended: exit 0 complete, 1 failed or crashed, 3 stopped, 5 too many failures.

    Example: camtui wait val --timeout 2h
    """
    path = find_run(run)
    limit = time.monotonic() + _seconds(timeout) if timeout else float("inf")
    while True:
        found = status_of(path)
        if not found.live and lock_holder(path) is None:
            narrate(f"{found.name}: {found.state}{': ' + found.message if found.message else ''}; {found.advice}")
            raise typer.Exit(5 if found.exit_code == 5 else found.check_code)
        if time.monotonic() >= limit:
            narrate(f"{found.name} is still {found.state} after {timeout}: {found.advice}")
            raise typer.Exit(124)
        time.sleep(min(0.25, max(0.0, limit - time.monotonic())))


def _seconds(text: str) -> float:
    """``90``, ``90s``, ``30m``, ``2h``, ``1d`` in seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"'{printable(text)}' is no duration", "for example --timeout 90s, 30m or 2h")
    return value


def _live_run(ref: str | None) -> Path:
    """The run that is meant by what acts on a running one: the word, or the only one that runs."""
    if ref is not None:
        return find_run(ref)
    live = [path for path in list_runs() if lock_holder(path) is not None]
    if len(live) == 1:
        return live[0]
    names = ", ".join(printable(path.stem) for path in live)
    why = f"{len(live)} runs are under way: {names}" if live else "no run is under way"
    raise NotFound(why, "name the run: camtui stop RUN" if live else "camtui ls")


@app.command()
def stop(
    run: LiveArgument = None,
    now: Annotated[bool, typer.Option("--now", help="Do not finish the units in flight.")] = False,
    yes: YesOption = False,
) -> None:
    """Stop a run: the units in flight are finished and kept, then it ends. Resume it whenever you like.

    Example: camtui stop val
    """
    path = _live_run(run)
    if now and not yes and os.isatty(0) and not confirm(f"End {path.stem} now and lose the units in flight?", yes):
        raise typer.Exit(130)
    pid = _signal_holder(path, now=now)
    if pid is None:
        narrate(f"{printable(path.stem)} is not running; {status_of(path).advice}")
        return
    narrate(f"stopping {printable(path.stem)}, pid {pid}" + ("" if now else ": finishing the units in flight"))
    limit = time.monotonic() + _NOW_SECONDS
    while lock_holder(path) == pid:
        if now and time.monotonic() > limit:
            _kill_group(path, pid)
        time.sleep(0.05)
    found = status_of(path)
    narrate(f"{found.name}: {found.state}; {found.advice}")


def _signal_holder(path: Path, *, now: bool) -> int | None:
    """Signal the driver through a descriptor of its process, so that a number that was given out again is never hit."""
    import signal

    pid = lock_holder(path)
    if pid is None:
        return None
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        if lock_holder(path) != pid:
            return None
        for number in (signal.SIGTERM, signal.SIGINT) if now else (signal.SIGTERM,):
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return None
    except PermissionError as error:
        raise TryAgain(f"pid {pid} belongs to another user", f"ask its owner to type camtui stop {reference(path)}") from error
    finally:
        os.close(process)
    return pid


def _kill_group(path: Path, pid: int) -> None:
    import signal
    from contextlib import suppress

    with suppress(ProcessLookupError):
        if lock_holder(path) == pid:
            os.kill(pid, signal.SIGKILL)


@app.command()
def resume(
    ctx: typer.Context,
    run: RunArgument = LAST,
    device: DeviceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    ray_address: AddressOption = None,
    gpus_per_worker: GpusOption = None,
    max_failures: Annotated[str, typer.Option(metavar="N|P%", help="Stop above so many failures.")] = "",
    on_finish: Annotated[str, typer.Option(metavar="CMD", help="Gets a JSON document when the run ends or crashes.")] = "",
    detach: DetachOption = False,
    foreground: ForegroundOption = False,
    no_watch: NoWatchOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Go on with a run that was stopped, has failed or has crashed: only what is missing is computed.

    Example: camtui resume val --detach
    """
    from camtui.cli.run import begin, resuming

    chosen = choose(device, workers, RayOptions(executor, ray_address, gpus_per_worker))
    request = resuming(find_run(run), chosen, max_failures=max_failures, on_finish=on_finish)
    begin(ctx, request, detach=detach, foreground=foreground, watch=not no_watch, quiet=quiet, as_json=json)


@app.command()
def retry(
    ctx: typer.Context,
    run: RunArgument = LAST,
    failed: Annotated[
        bool, typer.Option("--failed", help="The images that have failed (there is nothing else to retry).")
    ] = True,
    device: DeviceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    ray_address: AddressOption = None,
    gpus_per_worker: GpusOption = None,
    detach: DetachOption = False,
    foreground: ForegroundOption = False,
    no_watch: NoWatchOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Try the images again that have failed, once what was wrong with them is mended.

    Example: camtui retry val --failed
    """
    from camtui.cli.run import begin, resuming

    chosen = choose(device, workers, RayOptions(executor, ray_address, gpus_per_worker))
    request = resuming(find_run(run), chosen, retry_failed=failed)
    begin(ctx, request, detach=detach, foreground=foreground, watch=not no_watch, quiet=quiet, as_json=json)


@app.command()
def logs(
    run: RunArgument = LAST,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    tail: Annotated[int, typer.Option(help="How many lines of what is there.")] = 200,
    level: Annotated[str, typer.Option(help="Only events of this level or graver: info, warning, error.")] = "",
) -> None:
    """Show what a run's driver and workers wrote.

    Example: camtui logs val --follow --level warning
    """
    from camtui.cli.logs import show_events, show_log

    path = find_run(run)
    if level:
        show_events(path, level, tail, follow=follow)
    else:
        show_log(path, tail, follow=follow)


@app.command()
def rm(run: RunArgument, yes: YesOption = False) -> None:
    """Remove a run: its file, its log, nothing else.

    Example: camtui rm val --yes
    """
    path = find_run(run)
    if not confirm(f"Remove {path}?", yes):
        raise typer.Exit(130)
    try:
        lock = RunLock(path)
    except TryAgain as error:
        raise TryAgain(f"{printable(path.stem)} is {error.message}", f"camtui stop {reference(path)}") from error
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")), path.with_suffix(".log")):
        file.unlink(missing_ok=True)
    lock.release(remove=True)
    narrate(f"removed {printable(path)}")
