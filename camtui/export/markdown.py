"""Markdown: one table per backbone, the best in bold, its ties with ``=``, second in italics."""

from __future__ import annotations

from typing import TextIO

from camtui.format.cells import SIGNS
from camtui.format.table import Block, Entry, Table, TableRow
from evaluator.text import printable

_WRAP = {"best": "**", "tie": "", "second": "_", "": ""}


def write_markdown(stream: TextIO, table: Table) -> None:
    """Write the table, its title above and its notes below."""
    stream.write(f"**{escape(table.title)}**\n")
    for block in table.blocks:
        stream.write(f"\n{escape(block.title)}\n\n" if block.title else "\n")
        stream.writelines(_lines(table, block))
    notes = table.notes_in_print("italics")
    stream.write("\n" if notes else "")
    stream.writelines(f"- {escape(note)}\n" for note in notes)


def _lines(table: Table, block: Block) -> list[str]:
    header = [escape(column.title) for column in table.columns]
    ruler = ["--:" if column.numeric else ":--" for column in table.columns]
    lines = [_line(header), _line(ruler), *(_line(_cells(row, len(header))) for row in block.rows)]
    return lines + (["\n", *(f"- {escape(note)}\n" for note in block.notes)] if block.notes else [])


def _cells(row: TableRow, width: int) -> list[str]:
    cells = [_entry(entry) for entry in row.entries]
    if row.remark:
        cells[-1] = escape(row.remark)
    return cells[:width]


def _entry(entry: Entry) -> str:
    wrap = _WRAP[entry.mark]
    value = f"{wrap}{escape(entry.text)}{wrap}"
    partial = escape("~") if entry.partial else ""
    tie = SIGNS["tie"] if entry.mark == "tie" else ""
    return " ".join(filter(None, (f"{partial}{value}", entry.interval, tie)))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: names hold ``_``, ``*``, ``|`` and worse."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#~" else c for c in printable(text))
