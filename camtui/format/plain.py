"""A table as aligned lines for a terminal or a pipe, in spans that rich may colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from camtui.format.cells import SIGNS
from camtui.format.table import DEFAULTS, Entry, Table, TableOptions, TableRow, summary_table
from evaluator.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from evaluator.store.reader import RunReader

STYLES = {"best": "bold", "tie": "", "second": "", "": ""}


class Span(NamedTuple):
    """A stretch of a line in one style."""

    text: str
    style: str = ""


Line = list[Span]


def print_table(reader: RunReader, console: Console, options: TableOptions = DEFAULTS) -> None:
    """Print the averages of a run, as at the end of ``camtui run``."""
    print_lines(table_lines(summary_table(reader, options)), console)


def print_lines(lines: list[Line], console: Console) -> None:
    """Print lines on a console: never wrapped, never cut, in its colours if any."""
    from rich.text import Text

    for line in lines:
        console.print(Text.assemble(*[(span.text, span.style) for span in line]), soft_wrap=True)


def plain_text(table: Table) -> str:
    """Return the table without any style, ending in a newline."""
    return "".join(
        "".join(span.text for span in line).rstrip() + "\n" for line in table_lines(table)
    )


def table_lines(table: Table) -> list[Line]:
    """Return the table as lines of spans; columns are aligned over all blocks."""
    rows = [list(map(entry_text, row.entries)) for block in table.blocks for row in block.rows]
    widths = [
        max(len(printable(column.name)), *(len(row[place].rstrip(" *=")) for row in rows), 0)
        for place, column in enumerate(table.columns)
    ]
    numeric = [column.numeric for column in table.columns]
    header = "".join(
        _padded(printable(c.name), w, c.numeric) for c, w in zip(table.columns, widths, strict=True)
    )
    lines: list[Line] = [[Span(printable(table.title), "bold")]]
    for block in table.blocks:
        lines += [[], [Span(printable(block.title), "bold")]] if block.title else [[]]
        lines.append([Span(header.rstrip(), "dim")])
        lines += [_row_line(row, widths, numeric) for row in block.rows]
        lines += [[Span(f"  {printable(note)}", "dim")] for note in block.notes]
    lines += [[]] if table.notes else []
    return lines + [[Span(printable(note), "dim")] for note in table.notes]


def entry_text(entry: Entry) -> str:
    """Return one entry with its signs, always in the same places: ``~75.27 ±0.12*``."""
    partial = "~" if entry.partial else ""
    interval = f" {entry.interval}" if entry.interval else ""
    return printable(f"{partial}{entry.text}{interval}{SIGNS[entry.mark] or ' '}")


def _padded(text: str, width: int, numeric: bool) -> str:
    return f"{text:>{width}}  " if numeric else f"{text:<{width}} "


def _row_line(row: TableRow, widths: list[int], numeric: list[bool]) -> Line:
    fields = list(zip(row.entries, widths, numeric, strict=True))
    names = [
        Span(_padded(printable(entry.text), width, False))
        for entry, width, number in fields
        if not number
    ]
    if row.remark:
        return [*names, Span(printable(row.remark), "dim")]
    return [
        *names,
        *(
            Span(_entry_field(entry, width), STYLES[entry.mark])
            for entry, width, number in fields
            if number
        ),
    ]


def _entry_field(entry: Entry, width: int) -> str:
    text = entry_text(entry)
    return f"{text[:-1]:>{width}}{text[-1]} "
