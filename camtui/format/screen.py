"""A table on a screen: what it says in a sentence, and as many columns as fit the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import wrap

from camtui.format.table import Block, Entry, Field, Table, TableRow, column_widths, table_lines
from evaluator.catalog import ROW_METRICS
from evaluator.text import counted

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


def continued(table: Table, width: int) -> list[Table]:
    """Return a table in as many as it takes to show every column, each with the names.

    For tables of which every column is an answer. Notes stand under the last.
    """
    figures = [place for place, column in enumerate(table.columns) if column.numeric]
    parts: list[list[int]] = [[]]
    for place in figures:
        others = [one for one in figures if one not in (*parts[-1], place)]
        if parts[-1] and _total(table, others) > width:
            parts.append([])
        parts[-1].append(place)
    found = [_without(table, [one for one in figures if one not in part]) for part in parts]
    bare = [
        replace(one, notes=(), blocks=tuple(replace(block, notes=()) for block in one.blocks))
        for one in found[:-1]
    ]
    return [*bare, found[-1]]


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


def best_of(table: Table) -> list[str]:
    """Return a sentence for each network: its best method in ADCC, and whether that is certain.

    Empty for a network without ranks, and for a table that is not of methods by network.
    """
    keys = [column.key for column in table.columns]
    if HEADLINE not in keys or keys[:1] != ["method"]:
        return []
    place = keys.index(HEADLINE)
    sentences = [_best(block, place) for block in table.blocks if block.title]
    return [sentence for sentence in sentences if sentence]


def _best(block: Block, place: int) -> str:
    marked: dict[str, list[str]] = {}
    values: dict[str, Entry] = {}
    for row in block.rows:
        name, entry = row.entries[0].text, row.entries[place]
        marked.setdefault(entry.mark, []).append(name)
        values[name] = entry
    if "best" not in marked:
        return ""
    best = marked["best"]
    number = f"{values[best[0]].text} {values[best[0]].interval}".rstrip()
    tied = marked.get("tie", [])
    so_far = " so far" if values[best[0]].partial else ""
    sure = f"not certainly above {', '.join(tied)}" if tied else "certainly above the others"
    return (
        f"{block.title.partition(' (')[0]}: {' and '.join(best)} "
        f"{'is' if len(best) == 1 else 'are'} best in ADCC{so_far}, {number}, {sure}."
    )
