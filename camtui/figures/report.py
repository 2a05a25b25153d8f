"""One self-contained page about a run: its answer, tables, charts, images, and how to repeat it.

Nothing is fetched, no script.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape as html_escape
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO

from camtui.export.records import run_record
from camtui.format.cells import (
    SIGNS,
    Answer,
    CellView,
    answers,
    best_first,
    cell_views,
    shown_metrics,
)
from camtui.format.notes import block_notes, block_title, mean_notes, run_notes, run_title
from camtui.format.numbers import half_width, metric_header, percent, with_interval
from camtui.format.table import (
    Block,
    Entry,
    Table,
    TableColumn,
    TableOptions,
    TableRow,
    long_table,
    view_row,
)
from camtui.format.terms import backbone_title, method_title
from camtui.ranks import ranked
from evaluator.errors import NotFound, UsageError
from evaluator.metrics.base import Metric
from evaluator.records import Cell
from evaluator.statistics import FEWEST_TESTED
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from evaluator.store.reader import RunReader

NAMED = 4
"""Methods that an answer names as ties; of more, how many."""

MANY = 10
"""Columns; tables that have more are printed smaller."""

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
        images: so many of the best, of the typical and of the worst, of every backbone's best
            method.
        charts: whether to draw them, which needs matplotlib.
        checked: what is known of whether the run was verified, in words.
    """

    images: int = 2
    charts: bool = True
    checked: str = ""


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
    metrics = shown_metrics(reader)
    views = cell_views(reader, metrics)
    loaded, lacking = reader.backbones(), reader.lacking()

    def heading(name: str, group: Sequence[CellView]) -> Block:
        notes = (*block_notes(group), *mean_notes(group, metrics, lacking))
        return Block(block_title(backbone_title(name), loaded.get(name)), (), notes)

    table = ranking_table(run_title(reader), views, metrics, heading)
    table = replace(table, notes=tuple(run_notes(reader, views)))
    begin_page(stream, run_title(reader))
    stream.writelines(section("Answer", _answer(reader, views)))
    if contents.charts:
        stream.writelines(section("Ranks", rank_chart(views, missing)))
    stream.writelines(section("Averages", table_html(table)))
    stream.writelines(section("Charts", _charts(reader, contents, missing)))
    stream.writelines(section("How the metrics judge", _judged(reader)))
    stream.writelines(section("Images", _examples(reader, views, contents.images, missing)))
    stream.writelines(section("Failures", _failures(reader)))
    every = long_table(reader, TableOptions(ci=True, ranks=False))
    stream.writelines(section("Every number", _folded(table_html(_headline_first(every)))))
    stream.writelines(section("Compute it again", _protocol(reader, plan_toml, contents.checked)))
    end_page(stream, missing)
    return missing


def begin_page(stream: TextIO, title: str) -> None:
    """Write everything above the first section."""
    stream.write(_HEAD.format(title=escape(title), style=_style()))
    stream.write(f"<h1>{escape(title)}</h1>\n")


def end_page(stream: TextIO, missing: Sequence[str]) -> None:
    """Write what is missing, and the end."""
    if missing:
        stream.writelines(section("Left out", [f"<p>{escape(line)}</p>\n" for line in missing]))
    stream.write("</body></html>\n")


def escape(text: object) -> str:
    """Anything from outside as text of the page."""
    return html_escape(printable(text))


def section(title: str, body: Iterable[str]) -> Iterator[str]:
    """Yield a part of the page; nothing where it has no body."""
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


def table_html(table: Table) -> Iterator[str]:
    """Yield a table, which scrolls below its names where the page is narrow."""
    header = "".join(map(_header, table.columns))
    for block in table.blocks:
        yield f"<h3>{escape(block.title)}</h3>" if block.title else ""
        kind = "wide many" if len(table.columns) > MANY else "wide"
        yield f'<div class="scroll"><table class="{kind}"><thead><tr>{header}</tr></thead>'
        yield "<tbody>\n"
        yield from (_row(row, table.columns) for row in block.rows)
        yield "</tbody></table></div>\n"
        yield from (f'<p class="note">{escape(note)}</p>\n' for note in block.notes)
    yield from (
        f'<p class="note">{escape(note)}</p>\n' for note in table.notes_in_print("underlined")
    )


def _header(column: TableColumn) -> str:
    """A heading, which is the short one where the page is narrow."""
    short = f' data-short="{escape(column.name)}"' if len(column.name) < len(column.title) else ""
    return f'<th scope="col"{_kind(column)}{short}>{escape(column.title)}</th>'


def _row(row: TableRow, columns: Sequence[TableColumn]) -> str:
    begin = '<tr class="control">' if row.control else "<tr>"
    cells = [_entry(entry, column) for entry, column in zip(row.entries, columns, strict=True)]
    if row.remark:
        names = [cell for cell, column in zip(cells, columns, strict=True) if not column.numeric]
        remark = f'<td class="text" colspan="{len(cells) - len(names)}">{escape(row.remark)}</td>'
        return f"{begin}{''.join(names)}{remark}</tr>\n"
    return f"{begin}{''.join(cells)}</tr>\n"


def _entry(entry: Entry, column: TableColumn) -> str:
    text = f"{'~' if entry.partial else ''}{escape(_name(entry.text, column.key))}"
    tie = f"<sup>{SIGNS['tie']}</sup>" if entry.mark == "tie" else ""
    interval = f" <small>{escape(entry.interval)}</small>" if entry.interval else ""
    return f'<td{_kind(column, entry.mark)}><span class="value">{text}{tie}</span>{interval}</td>'


def _name(text: str, column: str) -> str:
    """Return the title of a method or backbone in place of its key."""
    if column in ("method", "first", "second"):
        return method_title(text)
    return backbone_title(text) if column == "backbone" else text


def _kind(column: TableColumn, mark: str = "") -> str:
    kinds = [mark] if mark in ("best", "second") else []
    kinds += ["headline"] if column.key == "adcc" else []
    kinds += [] if column.numeric else ["text"]
    return f' class="{" ".join(kinds)}"' if kinds else ""


def ranking_table(
    title: str,
    views: Sequence[CellView],
    metrics: Sequence[Metric],
    heading: Callable[[str, Sequence[CellView]], Block],
    names: Mapping[int, str] = {},
) -> Table:
    """Return a block for each backbone, its best method first and controls last; each map once.

    Args:
        heading: of a backbone and its cells: title and notes of its block.
        names: of cells by id, in place of their methods' titles.
    """
    columns = [
        TableColumn("method", "method", "Method", numeric=False),
        *(
            TableColumn(metric.key, metric_header(metric), metric_header(metric, long=True))
            for metric in sorted(metrics, key=lambda metric: metric.key != "adcc")
        ),
        TableColumn("n", "n", "n"),
    ]
    ordered = [metric for column in columns for metric in metrics if metric.key == column.key]
    blocks = []
    for name in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == name]
        rows = tuple(_ranking_row(view, group, ordered, names) for view in best_first(group))
        blocks.append(replace(heading(name, group), rows=rows))
    return Table(title, tuple(columns), tuple(blocks))


def _ranking_row(
    view: CellView, group: Sequence[CellView], metrics: Sequence[Metric], names: Mapping[int, str]
) -> TableRow:
    same = dict.fromkeys(
        method_title(one.cell.method) for one in group if one.twin == view.cell.method
    )
    name = names.get(view.cell.id) or method_title(view.cell.method)
    name += f" = {', '.join(same)}" if same else ""
    row = view_row([Entry(name)], view, metrics, TableOptions(ci=True))
    if not row.remark:
        first, n, *values = row.entries
        row = replace(row, entries=(first, *values, n))
    return replace(row, control=view.control)


def answer_html(
    found: Sequence[Answer], views: Sequence[CellView], names: Mapping[int, str] = {}
) -> Iterator[str]:
    """Yield an item for each network: the best, by how much, whether that is certain."""

    def title(view: CellView) -> str:
        return escape(names.get(view.cell.id) or method_title(view.cell.method))

    yield '<ul class="answer">\n'
    for one in found:
        mean = one.best.mean("adcc")
        words = (
            f"<b>{escape(backbone_title(one.best.cell.backbone))}: {title(one.best)}</b> is best, "
            f"ADCC {with_interval(mean)}"
        )
        if one.next is not None and one.ahead is not None:
            words += (
                f", {percent(abs(one.ahead.value))} {half_width(one.ahead)} points ahead of "
                f"{title(one.next)}. "
            )
        else:
            words += ". "
        if one.certain:
            words += "<b>Certain</b>: the paired test separates it from every other method."
        elif one.tied:
            near = ", ".join(map(title, one.tied[:NAMED]))
            more = len(one.tied) - NAMED
            others = f" and {counted(more, 'other')}" if more > 0 else ""
            words += f"<b>Not certain</b>: not separated from {near}{others}."
        controls = [
            view
            for view in views
            if view.control
            and view.cell.backbone == one.best.cell.backbone
            and (theirs := view.mean("adcc")) is not None
            and mean is not None
            and theirs.value > mean.value
        ]
        if controls:
            words += f" A control scores more: {', '.join(map(title, controls))}."
        yield f"<li>{words}</li>\n"
    yield "</ul>\n"


def _answer(reader: RunReader, views: Sequence[CellView]) -> Iterator[str]:
    """Yield the best method of every network, and on what that was measured."""
    found = answers(views, reader.averages.paired)
    if found:
        yield from answer_html(found, views)
    else:
        yield f"<p>No method is best: fewer than {FEWEST_TESTED} images, or one method alone.</p>\n"
    info, plan = reader.info(), reader.plan()
    untrained = [
        backbone_title(name)
        for name, one in reader.backbones().items()
        if one is not None and one.weights.startswith("random:")
    ]
    if untrained:
        yield f"<p><b>Untrained</b>, no result: {escape(', '.join(untrained))}.</p>\n"
    explained = "the predicted class" if plan.target == "predicted" else "the class of the label"
    yield (
        f'<p class="note">On {counted(info.image_count, "image")} of '
        f"{escape(PurePath(plan.data).name)}, of which {explained} is explained. "
        "± is half of the 95 % interval; certain: paired t tests, 5 % over all methods "
        "of a network (Holm).</p>\n"
    )


def rank_chart(
    views: Sequence[CellView], missing: list[str], names: Mapping[int, str] = {}
) -> Iterator[str]:
    """Yield the ranks in ADCC across networks, where there are several."""
    groups = {
        name: [
            view
            for view in best_first([v for v in views if v.cell.backbone == name])
            if view.mean("adcc") is not None and not (view.control or view.unranked)
        ]
        for name in dict.fromkeys(view.cell.backbone for view in views)
    }
    groups = {name: group for name, group in groups.items() if group}
    if len(groups) < 2:
        return
    from camtui.figures.charts import Ranked, bump

    ranks: dict[str, list[float | None]] = {}
    filled = set()
    for place, group in enumerate(groups.values()):
        order = ranked([-mean.value for view in group if (mean := view.mean("adcc"))])
        for view, rank in zip(group, order, strict=True):
            key = names.get(view.cell.id) or view.cell.method
            ranks.setdefault(key, [None] * len(groups))[place] = rank
            if view.marks.get("adcc", "") in ("best", "tie"):
                filled.add((key, place))
    try:
        figure = bump([Ranked("", list(map(backbone_title, groups)), ranks, filled)])
    except UsageError as error:
        missing.append(f"charts: {error.message}; {error.hint}")
        return
    title = "Rank in ADCC on each network (filled: not separated from the best)"
    yield f'<h3>{title}</h3><div class="charts">{drawn(figure, title)}</div>\n'


def drawn(figure: Figure, words: str) -> str:
    """Return a chart, with the words for those who do not see it."""
    from camtui.figures.charts import save

    stream = io.BytesIO()
    save(figure, stream, "svg")
    return f"<figure>{_picture(stream.getvalue(), 'image/svg+xml', words)}</figure>\n"


def _charts(reader: RunReader, contents: ReportOptions, missing: list[str]) -> Iterator[str]:
    if not contents.charts:
        return
    from camtui.figures.charts import chart, known_charts

    for kind, one in known_charts().items():
        charts = []
        for name in reader.backbones():
            try:
                figure = chart(reader, kind, name)
            except NotFound:
                break
            except UsageError as error:
                missing.append(f"charts: {error.message}; {error.hint}")
                return
            charts.append(drawn(figure, f"{one.title}: {backbone_title(name)}"))
        if charts:
            yield f'<h3>{escape(one.title)}</h3><div class="charts">{"".join(charts)}</div>\n'


def _folded(body: Iterable[str]) -> Iterator[str]:
    yield "<details><summary>Show: with counts, means of images' ADCC, and failures</summary>\n"
    yield from body
    yield "</details>\n"


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
        yield from table_html(table)


def _picture(data: bytes, kind: str, words: str) -> str:
    return f'<img alt="{escape(words)}" src="data:{kind};base64,{b64encode(data).decode()}">\n'


def _examples(
    reader: RunReader, views: Sequence[CellView], count: int, missing: list[str]
) -> Iterator[str]:
    """Yield maps of the best, typical and worst images of every network's best method."""
    for one in _leading(views) if count else []:
        cell, mean = one.cell, one.mean("adcc")
        title = f"{backbone_title(cell.backbone)}, {method_title(cell.method)}"
        yield f'<h3>{escape(title)}</h3><div class="examples">\n'
        middle = max(0, (mean.n - count) // 2) if mean else 0
        page = partial(reader.ranking.page, cell.id, "adcc")
        chosen = {
            "best": page(ascending=False, limit=count),
            "typical": page(ascending=False, limit=middle + count)[middle:],
            "worst": page(ascending=True, limit=count),
        }
        for words, places in chosen.items():
            for place in places:
                label = f"{words}: {percent(place.value)}"
                yield _example(reader, cell, place.image, label, missing)
        yield "</div>\n"


def _leading(views: Sequence[CellView]) -> list[CellView]:
    """Return of every backbone the cell of best ADCC; a control only where there is no other."""
    firsts = {}
    for name in dict.fromkeys(view.cell.backbone for view in views):
        group = [v for v in views if v.cell.backbone == name and v.mean("adcc") is not None]
        if group:
            firsts[name] = best_first(group)[0]
    return list(firsts.values())


def _example(reader: RunReader, cell: Cell, image: int, words: str, missing: list[str]) -> str:
    """Return one image as the network saw it, and its overlay."""
    from camtui.figures.sheet import class_lines, compose_plain, open_panels
    from camtui.pictures import DEFAULT_LOOK, PictureKind

    ref = reader.images.get(image)
    caption = f"{words} · {printable(ref.path.split(b'/')[-1])}"
    try:
        panels = open_panels(reader, cell, ref)
    except NotFound as error:
        missing.append(error.message)
        return f'<p class="note">{escape(caption)} (its file is not at hand)</p>\n'
    kinds: tuple[PictureKind, ...] = ("input", "overlay")
    views = [panels.view(kind, DEFAULT_LOOK) for kind in kinds]
    sheet = compose_plain([view for view in views if view is not None])
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=85)
    picture = _picture(stream.getvalue(), "image/jpeg", f"{printable(ref.path)}, {words}")
    lines = "<br>".join(map(escape, (caption, *class_lines(panels))))
    return f"<figure>{picture}<figcaption>{lines}</figcaption></figure>\n"


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
    told: dict[tuple[bytes, str], list[str]] = {}
    for failure in failures:
        key = reader.images.get(failure.image).path, f"{failure.reason}: {failure.detail}"
        told.setdefault(key, []).append(names[failure.cell])
    yield (
        '<div class="scroll"><table><thead><tr><th scope="col" class="text">Image</th>'
        '<th scope="col" class="text">Network, method</th>'
        '<th scope="col" class="text">Reason</th></tr></thead><tbody>\n'
    )
    for (path, reason), where in told.items():
        cells = where[0] if len(where) == 1 else f"{len(where)} of {len(names)}"
        row = "".join(f'<td class="text">{escape(word)}</td>' for word in (path, cells, reason))
        yield f"<tr>{row}</tr>\n"
    yield "</tbody></table></div>\n"
    total = reader.failure_count()
    if total > most:
        yield f'<p class="note">{most} of {total} shown</p>\n'


def _protocol(reader: RunReader, plan_toml: str, checked: str) -> Iterator[str]:
    run = run_record(reader)
    if checked:
        yield f"<p>Verified: {escape(checked)}</p>\n"
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
