"""Start of a run, and its display until it ends: common to run, resume and retry."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from camtui.cli.command import run_command
from camtui.cli.console import (
    confirm,
    has_screen,
    is_unicode,
    print_json,
    print_message,
    stdout_console,
)
from camtui.cli.options import OutputOptions
from camtui.code_resolver import allowed_of
from camtui.compute import ComputeOptions, compute_settings
from camtui.format.numbers import count, duration
from camtui.launch import (
    LOOK_SECONDS,
    ChildEnded,
    LaunchedRun,
    Left,
    Start,
    Step,
    ask,
    launch,
    logind_warning,
)
from camtui.planning import missing_weights
from camtui.runs import reference, remember, sizes_file
from evaluator.errors import CamtuiError, RunFailed, UsageError
from evaluator.execution.request import DriverSettings, RunRequest, StoredRun, known_run
from evaluator.execution.testing_hooks import settings_overrides
from evaluator.images import planned_images
from evaluator.interfaces import DEFAULT_SESSION
from evaluator.plan import RunPlan
from evaluator.store.files import lock_holder
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import HandoffPayload


def fetch_weights(keys: list[str], look: Callable[[float], None] | None = None) -> None:
    """Bring published weights to this machine, each checked against its network.

    Args:
        keys: of the backbones.
        look: called again and again; what it raises ends the fetching.

    Raises:
        CamtuiError: they cannot be fetched, or do not fit.
    """
    if not keys:
        return
    try:
        asked = {"asked": "weights", "backbones": keys}
        list(ask("evaluator.measuring.machine", asked, look and LOOK_SECONDS, look))
    except ChildEnded as end:
        why = f"the weights of {', '.join(keys)} cannot be looked for: {printable(end.said, 200)}"
        raise RunFailed(why, "this machine, in words: camtui doctor") from end


def confirm_more_images(
    plan: RunPlan, stored: StoredRun | None, path: Path, *, everything: bool
) -> RunPlan:
    """Return the plan, with the stored run's images where the user wants no more than these.

    Args:
        plan: as asked for.
        stored: the run in ``path``, ``None`` where there is none.
        everything: ``--all``.

    Raises:
        UsageError: the run would grow by images that nobody asked for, and there is no terminal to
            ask on.
    """
    if everything and plan.limit is not None:
        raise UsageError("--all and -n exclude each other", "leave one of them out")
    had = stored.plan.limit if stored else None
    if everything or stored is None or had is None or plan.limit is not None:
        return plan
    there = len(planned_images(plan, stored.listing).images)
    if there <= had:
        return plan
    has = f"{reference(path)} has the first {count(had)} of {count(there)} images"
    if not sys.stdin.isatty():
        raise UsageError(
            f"{has}, and -n is not given",
            f"-n {had} keeps to them, --all takes every image",
        )
    question = f"{has}; take the other {count(there - had)} too, for every method it has?"
    return plan if confirm(question, yes=False) else replace(plan, limit=had)


def driver_settings(compute: ComputeOptions, **others: Any) -> DriverSettings:
    """Return the driver's settings: where it computes, and ``others``.

    Raises:
        UsageError: one of them is impossible.
    """
    devices, ray = compute_settings(compute)
    settings = DriverSettings(
        devices=devices, ray=ray, tuning=sizes_file(), **others, **settings_overrides()
    )
    settings.check()
    return settings


def stored_request(
    path: Path,
    settings: DriverSettings,
    *,
    command: str = "resume",
    allow_code: bool = False,
    retry_failed: bool = False,
    finish_dropped: bool = False,
    accept_data_changes: bool = False,
) -> tuple[RunRequest, StoredRun | None]:
    """Return the request to go on with a run that is there, and that run.

    Args:
        finish_dropped: also with the cells that ``--until decided:drop`` left unfinished.

    Raises:
        CodeNotAllowed: it needs code that the user has not named here.
        Mismatch: the source of that code is not what the run was made with.
    """
    stored = known_run(path)
    plan = stored.plan if stored else None
    retry_command = f"camtui {command} {reference(path)}"
    request = RunRequest(
        db=path,
        name=path.stem,
        plan=replace(plan, drop_decided=False) if plan and finish_dropped else None,
        settings=settings,
        retry_failed=retry_failed,
        run_reference=reference(path),
        allowed=allowed_of(plan.code, retry_command, allow=allow_code) if plan else {},
        accept_data_changes=accept_data_changes,
    )
    return request, stored


def start_run(request: RunRequest, stored: StoredRun | None, output: OutputOptions) -> None:
    """Start the driver of a request, and show its run as was asked for.

    Ends with the run's exit code.

    Args:
        request: to start.
        stored: the run that is there already.
        output: how it is shown.
    """
    if output.foreground and output.detach:
        raise UsageError("--foreground and --detach exclude each other", "leave one of them out")
    plain = output.foreground or output.detach or output.no_watch or output.json
    if not plain and has_screen():
        raise typer.Exit(_in_dashboard(request, stored, quiet=output.quiet))
    say = sys.stderr.isatty() and not output.quiet
    preparing = f"preparing {request.run_reference}:"
    if say:
        print_message(f"{preparing} looking for the images")

    def tell(step: Step) -> None:
        if say and step.step == "weights":
            print_message(f"{preparing} {step.text}")

    _fetch_missing_weights(request, stored, tell)
    if output.foreground:
        raise typer.Exit(_in_foreground(request, as_json=output.json))

    plan = request.plan
    network = plan.backbones[0].name if plan else "its first network"
    doing = "looking for the images"

    def found(remarks: list[str]) -> None:
        nonlocal doing
        doing = f"loading {network} and trying it on an image"
        _remember_folders(request)
        if not output.quiet:
            for line in remarks:
                print_message(line)
            if warning := logind_warning():
                print_message(f"warning: {warning}")
        if say:
            print_message(f"{preparing} {doing}")

    def wait(seconds: float) -> None:
        print_message(f"{preparing} {doing}, {duration(seconds)} so far")

    handoff = launch(request, found, wait if say else None)
    if not output.quiet:
        for line in filter(None, (handoff.labels, *handoff.remarks)):
            print_message(line)
    if output.detach:
        _say_detached(handoff, as_json=output.json)
    else:
        raise typer.Exit(_follow(handoff, quiet=output.quiet, as_json=output.json))


def show_complete(
    ctx: typer.Context, request: RunRequest, stored: StoredRun | None, output: OutputOptions
) -> bool:
    """Show a run that is complete and has all that is asked for; its file stays as it is.

    Returns:
        Whether it is one; if not, nothing is shown.
    """
    if stored is None or stored.info.state != "complete" or lock_holder(request.db) is not None:
        return False
    from camtui.cli.dry_run import nothing_left

    if not nothing_left(request, stored):
        return False
    run = request.run_reference
    if not output.quiet:
        next_ = f"camtui table {run}, camtui report {run}"
        print_message(f"{run} is complete, nothing is left to compute: {next_}")
    here = LaunchedRun(os.getpid(), request.db.stem, request.db, request.log)
    if output.detach:
        if output.json:
            print_json(_payload(here))
    elif not (output.no_watch or output.foreground or output.json) and has_screen():
        run_command(ctx, "watch", str(request.db))
    else:
        raise typer.Exit(_follow(here, quiet=output.quiet, as_json=output.json))
    return True


def _in_dashboard(request: RunRequest, stored: StoredRun | None, *, quiet: bool) -> int:
    """Start a run while the dashboard says what is being done, then show it there.

    Returns:
        The exit code of a run that was watched, or left.

    Raises:
        CamtuiError: the run has not begun.
        KeyboardInterrupt: it was given up before it had begun.
    """
    start = Start(request, partial(_begin, stored))
    start.begin()  # before anything else is imported
    try:
        from camtui.tui.app import Dashboard
        from camtui.tui.theme import Settings

        dashboard = Dashboard(None, Settings(ascii=not is_unicode(sys.stderr)), start)
        code = dashboard.run()
    except KeyboardInterrupt:  # before the terminal was the dashboard's
        start.cancel()
        raise
    finally:
        start.leave()
    for line in () if quiet else start.lines:
        print_message(line)
    if isinstance(start.outcome, BaseException) and not isinstance(start.outcome, Left):
        raise start.outcome
    if dashboard.exit_message:
        print_message(dashboard.exit_message)
    return code or 0


def _begin(stored: StoredRun | None, start: Start) -> LaunchedRun:
    """Start a run whose start is shown on a screen."""
    request = start.request

    def found(remarks: list[str]) -> None:
        _remember_folders(request)
        warning = logind_warning()
        start.lines += [*remarks, *([f"warning: {warning}"] if warning else [])]

    with suppress(Left):  # the worker fetches them then
        _fetch_missing_weights(request, stored, start.tell, start.look)
    run = launch(request, found, start.look, start.tell, every=LOOK_SECONDS)
    start.lines += filter(None, (run.labels, *run.remarks))
    return run


def _remember_folders(request: RunRequest) -> None:
    """Note that the user has named the folders of a plan, once its images are found in them."""
    plan = request.plan
    for folder in filter(None, (plan.data, plan.truth) if plan else ()):
        remember(Path(folder))


def _fetch_missing_weights(
    request: RunRequest,
    stored: StoredRun | None,
    tell: Callable[[Step], None],
    look: Callable[[float], None] | None = None,
) -> None:
    """Fetch missing weights before the run is touched; on Ray each node looks for itself.

    Args:
        request: refused first if its images, labels or truth are.
        stored: the run that is there already.
        tell: called with what is being done.
        look: as of ``fetch_weights``.
    """
    plan, settings = request.plan, request.settings
    if plan is None or settings.ray is not None or settings.session != DEFAULT_SESSION:
        return
    if keys := missing_weights(plan, stored):
        from evaluator.execution.driver import look_at_data

        def listed(images: int, share: float) -> None:
            tell(Step("images", f"{count(images)} images so far", share))

        look_at_data(request, plan, stored, listed)
        tell(Step("weights", f"fetching the weights of {', '.join(keys)}"))
        fetch_weights(keys, look)


def _in_foreground(request: RunRequest, *, as_json: bool) -> int:
    from evaluator.execution.driver import carry_out

    problem: list[CamtuiError] = []

    def announce(line: dict[str, Any]) -> None:
        if "error" in line:
            problem.append(CamtuiError.from_dict(line["error"]))
        elif "found" in line:
            _remember_folders(request)
        elif as_json and "progress" not in line:
            print_json({key: value for key, value in line.items() if key != "remarks"})

    code = carry_out(request, announce)
    if problem:
        raise problem[0]
    if not as_json:
        _print_table(request.db)
    return code


def _say_detached(handoff: LaunchedRun, *, as_json: bool) -> None:
    run = reference(handoff.db)
    if as_json:
        print_json(_payload(handoff))
    else:
        print_message(
            f"{handoff.name} is running, pid {handoff.pid}: camtui watch {run}, camtui stop {run}"
        )


def _payload(handoff: LaunchedRun) -> HandoffPayload:
    return {
        "run": handoff.name,
        "pid": handoff.pid,
        "db": str(handoff.db),
        "log": str(handoff.log),
        "watch": f"camtui watch {reference(handoff.db)}",
        "labels": handoff.labels,
    }


def _follow(handoff: LaunchedRun, *, quiet: bool, as_json: bool) -> int:
    from camtui.cli.progress_lines import follow

    run = reference(handoff.db)
    if as_json:
        print_json(_payload(handoff))
    try:
        status = follow(handoff.db, quiet=quiet)
    except KeyboardInterrupt:
        print_message(f"the run goes on: camtui watch {run}; to end it: camtui stop {run}")
        return 130
    if as_json:
        print_json(status.record())
    else:
        _print_table(handoff.db)
    if status.state != "complete":
        print_message(f"hint:  {status.advice}")
    return status.exit_code


def _print_table(path: Path) -> None:
    from camtui.format import (
        TableOptions,
        best_of,
        print_lines,
        screen_lines,
        summary_table,
    )
    from evaluator.store.reader import RunReader

    with RunReader(path) as reader:
        options, console = TableOptions(), stdout_console()
        table = summary_table(reader, options)
        print_lines(screen_lines(table, console.width, said=best_of(reader, options)), console)
