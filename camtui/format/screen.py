"""A table on a screen: what it says in a sentence, and as many columns as fit the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING

from camtui.format.cells import Answer, CellView, answers
from camtui.format.known_differences import KnownDifferences
from camtui.format.numbers import half_width, percent
from camtui.format.table import (
    Field,
    Table,
    TableOptions,
    TableRow,
    chosen_views,
    column_widths,
    table_lines,
)
from evaluator import catalog
from evaluator.catalog import ROW_METRICS
from evaluator.text import counted

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

HEADLINE = "adcc"
"""The column that is kept, and of which the sentence is."""

_FEWEST = 40
"""Characters of a line: nothing is fitted to less."""


def screen_lines(
    table: Table,
    width: int,
    *,
    said: Sequence[str] = (),
    wide: bool = False,
    keep: str = HEADLINE,
) -> list[list[Field]]:
    """Return a table as lines that are no wider than a screen, but for names that are.

    Args:
        width: characters of a line.
        said: sentences that stand below the title.
        wide: every column, however wide the lines get.
        keep: key of the column that stays.
    """
    width = max(width, _FEWEST)
    title, *lines = table_lines(table if wide else fitted(table, width, keep))
    found = [title, *([Field(sentence)] for sentence in said), *lines]
    return [part for line in found for part in _wrapped(line, width)]


def fitted(table: Table, width: int, keep: str = HEADLINE) -> Table:
    """Return a table with as many columns as fit; a note names those that are left out.

    Columns of figures go from the right, those beside ADCC and its parts first. The first stays,
    and so does the one to keep and what tells one row from another.
    """
    figures = [place for place, column in enumerate(table.columns) if column.numeric]
    may_go = [place for place in figures[1:] if table.columns[place].key != keep]
    keys = [column.key for column in table.columns]
    may_go.sort(key=lambda place: (keys[place] == HEADLINE, keys[place] in ROW_METRICS, -place))
    gone: list[int] = []
    while may_go and _total(table, gone) > width:
        gone.append(may_go.pop(0))
    if not gone:
        return table
    names = ", ".join(table.columns[place].name for place in sorted(gone))
    few = _without(table, gone)
    note = f"{counted(len(gone), 'column')} left out to fit {width} characters: {names}; --wide"
    return replace(few, notes=(*few.notes, note))


def _total(table: Table, gone: Sequence[int]) -> int:
    widths = column_widths(table)
    kept = [place for place in range(len(widths)) if place not in gone]
    return sum(widths[place] + 1 + table.columns[place].numeric for place in kept) - 1


def _without(table: Table, gone: Sequence[int]) -> Table:
    def left(row: TableRow) -> TableRow:
        kept = tuple(entry for place, entry in enumerate(row.entries) if place not in gone)
        return replace(row, entries=kept)

    columns = tuple(one for place, one in enumerate(table.columns) if place not in gone)
    blocks = tuple(replace(one, rows=tuple(map(left, one.rows))) for one in table.blocks)
    return replace(table, columns=columns, blocks=blocks)


def _wrapped(line: list[Field], width: int) -> Iterator[list[Field]]:
    """Yield a line, in several where it is one text that is too long."""
    if len(line) != 1 or len(line[0].text) <= width:
        yield line
        return
    field = line[0]
    indent = " " * (len(field.text) - len(field.text.lstrip()))
    for part in wrap(
        field.text.strip(), width, initial_indent=indent, subsequent_indent=f"{indent}  "
    ):
        yield [Field(part, field.role)]


def best_of(reader: RunReader, options: TableOptions) -> list[str]:
    """Return a sentence for each network: its best method in ADCC, and whether that is certain.

    None for a network without ranks.
    """
    views = chosen_views(reader, [catalog.metric(HEADLINE)], options)
    known = KnownDifferences(reader)
    found = answers(views, known.paired)
    known.keep()
    return [_sentence(one, views, options.digits) for one in found]


def _sentence(one: Answer, views: Sequence[CellView], digits: int) -> str:
    cell, mean = one.best.cell, one.best.mean(HEADLINE)

    def name(view: CellView) -> str:
        own = view.cell
        same = [
            other.cell.method
            for other in views
            if (other.cell.backbone, other.twin) == (own.backbone, own.method)
        ]
        return " = ".join((own.method, *same))

    number = f"{percent(mean.value if mean else None, digits)} {half_width(mean, digits)}".rstrip()
    words = f"{cell.backbone}: {name(one.best)} is best in ADCC"
    words += f"{' so far' if one.best.partial else ''}, {number}"
    if one.tied:
        words += f", not certainly above {', '.join(map(name, one.tied))}"
    elif one.certain:
        words += ", certainly above the others"
    return f"{words}."
