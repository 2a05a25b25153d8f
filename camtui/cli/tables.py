"""The options of ``table`` and ``export`` as a request, which is written to standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from camtui.cli.console import print_message
from camtui.cli.options import TableSelection
from evaluator.errors import UsageError

if TYPE_CHECKING:
    from camtui.export import ExportRequest, Progress
    from camtui.format import TableOptions
    from camtui.format.groups import By
    from evaluator.store.reader import RunReader

_ALIASES = {"markdown": "md", "tex": "latex", "text": "plain", "txt": "plain"}


def export_request(
    form: str, selected: TableSelection, *, per_image: bool = False
) -> ExportRequest:
    """Return the request, checked as far as it can be without the run.

    Raises:
        UsageError: two layouts.
    """
    from camtui.export import ExportRequest

    return ExportRequest(
        _ALIASES.get(form, form), _layout(selected), per_image, _options(selected), _by(selected.by)
    )


def _by(text: str) -> By | Literal[""]:
    from camtui.format.groups import BYS
    from evaluator.text import did_you_mean

    for known in BYS:
        if text == known:
            return known
    if text:
        raise UsageError(
            f"--by takes class or correct, not '{text}'",
            f"{did_you_mean(text, BYS)}camtui table RUN --by correct",
        )
    return ""


def _options(selected: TableSelection) -> TableOptions:
    from camtui.format import TableOptions

    return TableOptions(
        digits=selected.digits, ci=selected.ci, filter=selected.filter, sort=selected.sort
    )


def _layout(selected: TableSelection) -> str:
    if selected.pivot and selected.long:
        raise UsageError("--pivot and --long are two layouts", "give one of them")
    if selected.pivot:
        return f"pivot:{selected.pivot}"
    return "long" if selected.long else "blocks"


def to_stdout(reader: RunReader, request: ExportRequest) -> None:
    """Write a request to standard output."""
    from camtui.export import write
    from camtui.export.output import destination

    if request.form == "parquet" and sys.stdout.isatty():
        raise UsageError(
            "parquet is binary, and standard output is a terminal", "add -o FILE.parquet"
        )
    with destination(None) as stream:
        write(reader, request, stream, progress_of(reader))


def progress_of(reader: RunReader) -> Progress:
    """Return a function that prints every few seconds how far a long export has come."""
    from time import monotonic

    from camtui.format import count

    total = sum(summary.n for summary in reader.averages.summaries())
    last = monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        if monotonic() - last >= 2:
            last = monotonic()
            print_message(f"{count(rows)} of {count(total)} rows")

    return tell
