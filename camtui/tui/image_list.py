"""The list of a cell's images, or of groups of them: read page by page, and drawn as lines."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

from camtui.format import metric_header, percent, short_count, with_interval
from camtui.format.groups import Group
from camtui.tui import cell_text
from camtui.tui.widgets.fields import Field, Line, TableColumn
from evaluator.catalog import known_metrics
from evaluator.records import ImageRef, Row
from evaluator.store.reader import RankedImage, RunReader
from evaluator.text import printable

PAGE = 100
"""Images that are read at once."""


class ListedImage(NamedTuple):
    """One line of the list: the place in the order, the image, and its row."""

    ranked: RankedImage
    image: ImageRef
    row: Row | None


def page(
    reader: RunReader, cell: int, metric: str, ascending: bool, after: RankedImage | None
) -> list[ListedImage]:
    """Read the next images of the list, by key."""
    ranked = reader.ranking.page(cell, metric, ascending=ascending, limit=PAGE, after=after)
    return [
        ListedImage(place, reader.images.get(place.image), reader.rows.get(cell, place.image))
        for place in ranked
    ]


def list_columns(metric: str, width: int) -> list[TableColumn]:
    """Return the columns: place, image, classes, confidences and metrics.

    The metric that orders the list comes last.
    """
    shown = other_metrics(metric, width)
    columns = [
        TableColumn("place", "#", 6),
        TableColumn("image", "image", 24 if width < 100 else 32, right=False),
    ]
    columns += [
        TableColumn("classes", "true → predicted", 0, right=False),
        TableColumn("confidence", "confidence\n→ masked", 11),
    ]
    columns += [TableColumn(key, metric_header(known_metrics()[key]), 7) for key in shown]
    return [*columns, TableColumn("value", metric_header(known_metrics()[metric]), 8)]


def other_metrics(metric: str, width: int) -> list[str]:
    """Return the metrics beside the one that orders, where there is room."""
    return (
        [key for key in ("average_drop", "coherency", "complexity", "adcc") if key != metric]
        if width >= 100
        else []
    )


def image_line(place: int, listed: ListedImage, classes: tuple[str, ...], shown: list[str]) -> Line:
    """Format one image of the list."""
    row, image = listed.row, listed.image
    name = printable(PurePosixPath(image.path.decode("utf-8", "surrogateescape")).name, 32)
    label = cell_text.class_name(classes, image.label)
    predicted = cell_text.class_name(classes, row.predicted) if row else "?"
    same = image.label is not None and row is not None and image.label == row.predicted
    words = label if same else f"{label} → {predicted}"
    fields = [Field(str(place), "dim"), Field(name), Field(words, "" if same else "warn")]
    fields.append(Field(f"{row.y:.2f}→{row.o:.2f}" if row else "", "dim"))
    fields += [Field(percent(getattr(row, key)) if row else "", "dim") for key in shown]
    return Line(image.id, (*fields, Field(percent(listed.ranked.value), "strong")))


def group_columns(metric: str, width: int) -> list[TableColumn]:
    """Return the columns of groups: name, n, averages; the one that orders comes last."""
    columns = [TableColumn("group", "images", 0, right=False), TableColumn("n", "n", 8)]
    columns += [
        TableColumn(key, metric_header(known_metrics()[key]), 7)
        for key in other_metrics(metric, width)
    ]
    return [*columns, TableColumn("value", metric_header(known_metrics()[metric]), 14)]


def in_order(groups: list[Group], metric: str, *, worst: bool) -> list[Group]:
    """Sort groups by average, worst or best first; those without one stand last."""
    sign = known_metrics()[metric].sign * (1 if worst else -1)
    means = {id(group): group.view.mean(metric) for group in groups}
    having = [group for group in groups if means[id(group)] is not None]
    having.sort(key=lambda group: sign * (mean.value if (mean := means[id(group)]) else 0.0))
    return having + [group for group in groups if means[id(group)] is None]


def group_line(group: Group, metric: str, shown: list[str]) -> Line:
    """Format one group of the list."""

    def value(key: str) -> str:
        mean = group.view.mean(key)
        return percent(mean.value if mean else None)

    fields = [
        Field(group.name, "warn" if group.correct is False else ""),
        Field(short_count(group.view.summary.n), "dim"),
    ]
    fields += [Field(value(key), "dim") for key in shown]
    mean = group.view.mean(metric)
    return Line(
        f"group {group.place}",
        (*fields, Field(with_interval(mean) if mean else value(metric), "strong")),
    )
