"""Numbers and tables for people, written one way in commands, exports and dashboard.

``numbers``  single values  ·  ``cells``  cells with ranks  ·  ``select``  filter and sort ``table``
tables as data and lines  ·  ``notes``  what must be said beside them  ·  ``screen``  to fit

Light: neither torch nor numpy nor textual, and rich only when lines are printed.
"""

from __future__ import annotations

from camtui.format.cells import SIGNS, CellView, Mark, cell_views, rank_cells
from camtui.format.numbers import (
    ABSENT,
    count,
    duration,
    half_width,
    metric_header,
    percent,
    rate,
    short_count,
    signed_percent,
    size,
    with_interval,
)
from camtui.format.screen import best_of, screen_lines
from camtui.format.select import matching
from camtui.format.table import (
    Block,
    Entry,
    Field,
    Table,
    TableColumn,
    TableOptions,
    TableRow,
    long_table,
    pivot_table,
    plain_text,
    print_lines,
    summary_table,
    table_lines,
)

__all__ = [
    "ABSENT",
    "SIGNS",
    "Block",
    "CellView",
    "Entry",
    "Field",
    "Mark",
    "Table",
    "TableColumn",
    "TableOptions",
    "TableRow",
    "best_of",
    "cell_views",
    "count",
    "duration",
    "half_width",
    "long_table",
    "matching",
    "metric_header",
    "percent",
    "pivot_table",
    "plain_text",
    "print_lines",
    "rank_cells",
    "rate",
    "screen_lines",
    "short_count",
    "signed_percent",
    "size",
    "summary_table",
    "table_lines",
    "with_interval",
]
