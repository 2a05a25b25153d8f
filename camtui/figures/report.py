"""One self-contained page about a run: table, charts, worst images, failures, protocol. Nothing is fetched, no script."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape as html_escape
from typing import TYPE_CHECKING, TextIO

from camtui.export.records import run_record
from camtui.format.cells import cell_views
from camtui.format.notes import in_print, run_title
from camtui.format.table import Entry, Options, Table, TableRow, long_table, summary_table
from evaluator.errors import NotFound, UsageError
from evaluator.records import Cell
from evaluator.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluator.store.reader import RunReader

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1rem } caption { text-align: left; font-weight: 600; padding: .3rem 0 }
th, td { padding: .15rem .7rem; text-align: right; white-space: nowrap } th:first-child, td:first-child { text-align: left }
thead th { border-top: 2px solid; border-bottom: 1px solid } tbody tr:last-child td { border-bottom: 2px solid }
.best, .tie { font-weight: 700 } .second { text-decoration: underline } small { color: #555; font-weight: 400 }
.note { color: #555; font-size: .9rem } img { max-width: 100% } pre { background: #f4f4f4; padding: .8rem; overflow-x: auto }
section { margin-top: 2.2rem } div { overflow-x: auto }
"""

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>
"""


@dataclass(frozen=True)
class Contents:
    """How much of a run the page shows.

    Attributes:
        worst: images of every backbone's leading cell; ``charts``: whether to draw them, which needs matplotlib.
    """

    worst: int = 6
    charts: bool = True


def write_report(stream: TextIO, reader: RunReader, plan_toml: str, contents: Contents) -> list[str]:
    """Write the page.

    Args:
        plan_toml: the plan, as ``camtui show --config`` prints it.

    Returns:
        What had to be left out and why, a line each; it stands in the page too.
    """
    missing: list[str] = []
    table = summary_table(reader, Options(ci=True))
    stream.write(_HEAD.format(title=escape(run_title(reader)), style=_STYLE))
    stream.write(f"<h1>{escape(run_title(reader))}</h1>\n")
    stream.writelines(_section("Averages", _table_html(table)))
    stream.writelines(_section("Charts", _charts(reader, contents, missing)))
    stream.writelines(_section("Worst images", _worst(reader, contents.worst, missing)))
    stream.writelines(_section("Failures", _failures(reader)))
    stream.writelines(_section("Every number", _table_html(long_table(reader, Options(ci=True, ranks=False)))))
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


def _table_html(table: Table) -> Iterator[str]:
    header = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in table.columns)
    for block in table.blocks:
        caption = f"<caption>{escape(block.title)}</caption>" if block.title else ""
        yield f"<div><table>{caption}<thead><tr>{header}</tr></thead><tbody>\n"
        yield from (_row(row) for row in block.rows)
        yield "</tbody></table></div>\n"
        yield from (f'<p class="note">{escape(note)}</p>\n' for note in block.notes)
    yield from (f'<p class="note">{escape(in_print(note, second="underlined"))}</p>\n' for note in table.notes)


def _row(row: TableRow) -> str:
    if row.remark:
        named = [entry for entry in row.entries if entry.text != "–"] or [row.entries[0]]
        names = "".join(f"<td>{escape(entry.text)}</td>" for entry in named[:2])
        return f'<tr>{names}<td colspan="{len(row.entries) - len(named[:2])}">{escape(row.remark)}</td></tr>\n'
    return f"<tr>{''.join(_entry(entry) for entry in row.entries)}</tr>\n"


def _entry(entry: Entry) -> str:
    kind = f' class="{entry.mark}"' if entry.mark else ""
    interval = f" <small>{escape(entry.interval)}</small>" if entry.interval else ""
    return f"<td{kind}>{'~' if entry.partial else ''}{escape(entry.text)}{interval}</td>"


def _charts(reader: RunReader, contents: Contents, missing: list[str]) -> Iterator[str]:
    if not contents.charts:
        return
    from camtui.figures.charts import CHARTS, chart, save

    for kind in CHARTS:
        try:
            figure = chart(reader, kind)
        except NotFound:
            continue
        except UsageError as error:
            missing.append(f"charts: {error.message}; {error.hint}")
            return
        stream = io.BytesIO()
        save(figure, stream, "svg")
        yield f"<h3>{kind.capitalize()}</h3>\n{_picture(stream.getvalue(), 'image/svg+xml', kind)}"


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
        yield f"<h3>{escape(f'{cell.backbone}/{cell.method}')}, lowest ADCC first</h3>\n"
        for place in reader.ranked(cell.id, "adcc", ascending=True, limit=count):
            ref = reader.image(place.image)
            try:
                sheet = _sheet(reader, cell, place.image)
            except NotFound as error:
                missing.append(error.message)
                yield f'<p class="note">{escape(ref.path)}: {100 * place.value:.2f} (its file is not at hand)</p>\n'
                continue
            stream = io.BytesIO()
            sheet.save(stream, "JPEG", quality=88)
            yield _picture(stream.getvalue(), "image/jpeg", f"{printable(ref.path)}, ADCC {100 * place.value:.2f}")


def _sheet(reader: RunReader, cell: Cell, image: int) -> Image:
    from camtui.figures.panels import VIEWS, open_panels
    from camtui.figures.sheet import cell_sheet

    return cell_sheet(open_panels(reader, cell, reader.image(image)), VIEWS, "viridis", 0.5)


def _failures(reader: RunReader, most: int = 100) -> Iterator[str]:
    names = {cell.id: f"{cell.backbone}/{cell.method}" for cell in reader.cells()}
    failures = reader.failures(limit=most)
    if not failures:
        yield "<p>None.</p>\n"
        return
    yield '<table><thead><tr><th scope="col">Image</th><th scope="col">Cell</th><th scope="col">Reason</th></tr></thead><tbody>\n'
    for failure in failures:
        words = (reader.image(failure.image).path, names[failure.cell], f"{failure.reason}: {failure.detail}")
        yield f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in words)}</tr>\n"
    yield "</tbody></table>\n"
    total = reader.failure_count()
    if total > most:
        yield f'<p class="note">{most} of {total} shown</p>\n'


def _protocol(reader: RunReader, plan_toml: str) -> Iterator[str]:
    run = run_record(reader)
    for name, loaded in run["backbones"].items():
        if loaded:
            words = f"{name}: weights {loaded['weights']}, layer {loaded['layer']}, sha256 {loaded['sha256']}"
            yield f"<p>{escape(words)}</p>\n"
    yield f"<p>images: {run['images']}, manifest sha256 {escape(run['manifest_sha256'])}</p>\n"
    yield f"<p>{escape(', '.join(f'{name} {value}' for name, value in sorted(run['versions'].items())))}</p>\n"
    yield "<p>The plan; <code>camtui run --config PLAN.toml --name NEW</code> makes the run again:</p>\n"
    yield f"<pre>{html_escape(plan_toml)}</pre>\n"
