"""One self-contained page about a run: table, charts, worst images, failures, protocol.

Nothing is fetched, no script.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape as html_escape
from importlib.resources import files
from typing import TYPE_CHECKING, TextIO

from camtui.export.records import run_record
from camtui.format.cells import SIGNS, cell_views
from camtui.format.notes import in_print, run_title
from camtui.format.table import (
    Entry,
    Table,
    TableColumn,
    TableOptions,
    TableRow,
    long_table,
    summary_table,
)
from camtui.format.terms import backbone_title, method_title
from evaluator.errors import NotFound, UsageError
from evaluator.records import Cell
from evaluator.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluator.store.reader import RunReader

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>
"""


@dataclass(frozen=True)
class ReportOptions:
    """The parts of a run that the page shows.

    Attributes:
        worst: images of every backbone's leading cell.
        charts: whether to draw them, which needs matplotlib.
    """

    worst: int = 6
    charts: bool = True


def write_report(
    stream: TextIO, reader: RunReader, plan_toml: str, contents: ReportOptions
) -> list[str]:
    """Write the page.

    Args:
        plan_toml: the plan, as ``camtui show --config`` prints it.

    Returns:
        What had to be left out and why, a line each; it stands in the page too.
    """
    missing: list[str] = []
    table = summary_table(reader, TableOptions(ci=True))
    every = long_table(reader, TableOptions(ci=True, ranks=False))
    stream.write(_HEAD.format(title=escape(run_title(reader)), style=_style()))
    stream.write(f"<h1>{escape(run_title(reader))}</h1>\n")
    stream.writelines(_section("Averages", _table_html(_headline_first(table))))
    stream.writelines(_section("Charts", _charts(reader, contents, missing)))
    stream.writelines(_section("How the metrics judge", _judged(reader)))
    stream.writelines(_section("Worst images", _worst(reader, contents.worst, missing)))
    stream.writelines(_section("Failures", _failures(reader)))
    stream.writelines(_section("Every number", _table_html(_headline_first(every))))
    stream.writelines(_section("Protocol", _protocol(reader, plan_toml)))
    if missing:
        stream.writelines(_section("Left out", [f"<p>{escape(line)}</p>\n" for line in missing]))
    stream.write("</body></html>\n")
    return missing


def escape(text: object) -> str:
    """Anything from outside as text of the page."""
    return html_escape(printable(text))


def _section(title: str, body: Iterable[str]) -> Iterator[str]:
    lines = list(body)
    if lines:
        yield f'<section id="{title.lower().replace(" ", "-")}"><h2>{title}</h2>\n'
        yield from lines
        yield "</section>\n"


def _style() -> str:
    return files("camtui.figures").joinpath("report.css").read_text("utf-8")


def _headline_first(table: Table) -> Table:
    """The table with ADCC directly behind the names.

    It is what a reader looks for, on a narrow page too.
    """
    keys = [column.key for column in table.columns]
    names = [place for place, column in enumerate(table.columns) if not column.numeric]
    first = [*names, keys.index("adcc")]
    order = [*first, *(place for place in range(len(keys)) if place not in first)]

    def reordered(row: TableRow) -> TableRow:
        return replace(row, entries=tuple(row.entries[place] for place in order))

    blocks = tuple(replace(block, rows=tuple(map(reordered, block.rows))) for block in table.blocks)
    return replace(table, columns=tuple(table.columns[place] for place in order), blocks=blocks)


def _table_html(table: Table) -> Iterator[str]:
    header = "".join(
        f'<th scope="col"{_kind(column)}>{escape(column.title)}</th>' for column in table.columns
    )
    for block in table.blocks:
        caption = f"<caption>{escape(block.title)}</caption>" if block.title else ""
        yield f'<table class="wide">{caption}<thead><tr>{header}</tr></thead><tbody>\n'
        yield from (_row(row, table.columns) for row in block.rows)
        yield "</tbody></table>\n"
        yield from (f'<p class="note">{escape(note)}</p>\n' for note in block.notes)
    yield from (
        f'<p class="note">{escape(in_print(note, second="underlined"))}</p>\n'
        for note in table.notes
    )


def _row(row: TableRow, columns: Sequence[TableColumn]) -> str:
    cells = [_entry(entry, column) for entry, column in zip(row.entries, columns, strict=True)]
    if row.remark:
        names = [cell for cell, column in zip(cells, columns, strict=True) if not column.numeric]
        remark = f'<td class="text" colspan="{len(cells) - len(names)}">{escape(row.remark)}</td>'
        return f"<tr>{''.join(names)}{remark}</tr>\n"
    return f"<tr>{''.join(cells)}</tr>\n"


def _entry(entry: Entry, column: TableColumn) -> str:
    text = f"{'~' if entry.partial else ''}{escape(_name(entry.text, column.key))}"
    tie = f"<sup>{SIGNS['tie']}</sup>" if entry.mark == "tie" else ""
    interval = f" <small>{escape(entry.interval)}</small>" if entry.interval else ""
    label = f' data-label="{escape(column.title)}"' if column.numeric else ""
    return (
        f"<td{_kind(column, entry.mark)}{label}><span "
        f'class="value">{text}{tie}</span>{interval}</td>'
    )


def _name(text: str, column: str) -> str:
    """Return the title of a method or backbone in place of its key."""
    if column == "method":
        return method_title(text)
    return backbone_title(text) if column == "backbone" else text


def _kind(column: TableColumn, mark: str = "") -> str:
    kinds = [mark] if mark in ("best", "second") else []
    kinds += ["headline"] if column.key == "adcc" else []
    kinds += [] if column.numeric else ["text"]
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _charts(reader: RunReader, contents: ReportOptions, missing: list[str]) -> Iterator[str]:
    if not contents.charts:
        return
    from camtui.figures.charts import chart, known_charts, save

    yield '<div class="charts">\n'
    for kind, one in known_charts().items():
        try:
            figure = chart(reader, kind)
        except NotFound:
            continue
        except UsageError as error:
            missing.append(f"charts: {error.message}; {error.hint}")
            break
        stream = io.BytesIO()
        save(figure, stream, "svg")
        picture = _picture(stream.getvalue(), "image/svg+xml", one.title)
        yield f"<figure><figcaption>{escape(one.title)}</figcaption>{picture}</figure>\n"
    yield "</div>\n"


def _judged(reader: RunReader, large: int = 5000) -> Iterator[str]:
    """Yield the tables of ``camtui judge`` where the run has truth; large runs by fewer draws."""
    from camtui.format.judged import judged_tables
    from camtui.judging.judgement import JudgeOptions, judge

    try:
        judged = judge(
            reader, JudgeOptions(draws=1000 if reader.info().image_count <= large else 200)
        )
    except NotFound:
        return
    for table in judged_tables(reader, judged):
        yield f"<h3>{escape(table.title.rpartition(' · ')[2].capitalize())}</h3>\n"
        yield from _table_html(table)


def _picture(data: bytes, kind: str, words: str) -> str:
    return f'<img alt="{escape(words)}" src="data:{kind};base64,{b64encode(data).decode()}">\n'


def _leading_cells(reader: RunReader) -> list[Cell]:
    """Of every backbone the cell of best ADCC."""
    best: dict[str, tuple[float, Cell]] = {}
    for view in cell_views(reader):
        mean = view.mean("adcc")
        if mean is not None and mean.value > best.get(view.cell.backbone, (-1.0, None))[0]:
            best[view.cell.backbone] = mean.value, view.cell
    return [cell for _, cell in best.values()]


def _worst(reader: RunReader, count: int, missing: list[str]) -> Iterator[str]:
    for cell in _leading_cells(reader) if count else []:
        name = f"{backbone_title(cell.backbone)}, {method_title(cell.method)}"
        yield f"<h3>{escape(name)}: lowest ADCC first</h3>\n"
        for place in reader.ranking.page(cell.id, "adcc", ascending=True, limit=count):
            ref = reader.images.get(place.image)
            try:
                sheet = _sheet(reader, cell, place.image)
            except NotFound as error:
                missing.append(error.message)
                yield (
                    f'<p class="note">{escape(ref.path)}: {100 * place.value:.2f} '
                    "(its file is not at hand)</p>\n"
                )
                continue
            stream = io.BytesIO()
            sheet.save(stream, "JPEG", quality=88)
            yield _picture(
                stream.getvalue(),
                "image/jpeg",
                f"{printable(ref.path)}, ADCC {100 * place.value:.2f}",
            )


def _sheet(reader: RunReader, cell: Cell, image: int) -> Image:
    from camtui.figures.sheet import cell_sheet, open_panels
    from camtui.pictures import DEFAULT_LOOK, PICTURE_KINDS

    panels = open_panels(reader, cell, reader.images.get(image))
    return cell_sheet(panels, PICTURE_KINDS, DEFAULT_LOOK)


def _failures(reader: RunReader, most: int = 100) -> Iterator[str]:
    names = {
        cell.id: f"{backbone_title(cell.backbone)}, {method_title(cell.method)}"
        for cell in reader.cells()
    }
    failures = reader.failures(limit=most)
    info = reader.info()
    if info.state == "failed" and info.message:
        yield f"<p>The run failed: {escape(info.message)}</p>\n"
    if not failures:
        yield "<p>No image failed.</p>\n"
        return
    yield (
        '<table><thead><tr><th scope="col">Image</th><th scope="col" '
        'class="text">Network, method</th>'
    )
    yield '<th scope="col" class="text">Reason</th></tr></thead><tbody>\n'
    for failure in failures:
        words = (
            reader.images.get(failure.image).path,
            names[failure.cell],
            f"{failure.reason}: {failure.detail}",
        )
        cells = "".join(f'<td class="text">{escape(word)}</td>' for word in words)
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody></table>\n"
    total = reader.failure_count()
    if total > most:
        yield f'<p class="note">{most} of {total} shown</p>\n'


def _protocol(reader: RunReader, plan_toml: str) -> Iterator[str]:
    run = run_record(reader)
    for name, loaded in run["backbones"].items():
        if loaded:
            words = (
                f"{name}: weights {loaded['weights']}, layer {loaded['layer']}, "
                f"sha256 {loaded['sha256']}"
            )
            yield f"<p>{escape(words)}</p>\n"
    yield f"<p>images: {run['images']}, manifest sha256 {escape(run['manifest_sha256'])}</p>\n"
    versions = ", ".join(f"{name} {value}" for name, value in sorted(run["versions"].items()))
    yield f"<p>{escape(versions)}</p>\n"
    yield (
        "<p>The plan; <code>camtui run --config PLAN.toml --name "
        "NEW</code> makes the run again:</p>\n"
    )
    yield f"<pre>{html_escape(plan_toml)}</pre>\n"
