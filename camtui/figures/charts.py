"""Charts of a run's averages by matplotlib, an extra: convergence, components, ranks, curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from camtui.format.cells import CellView, shown_metrics
from camtui.format.numbers import metric_header
from camtui.format.table import finished_views
from camtui.format.terms import backbone_title, method_title
from camtui.status import convergence
from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.errors import NotFound, UsageError
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from evaluator.store.reader import RunReader

Draw = Callable[["Axes", "RunReader", Sequence[CellView]], None]


class Chart(NamedTuple):
    """One kind of chart: what it shows, in words, and how one panel of it is drawn."""

    title: str
    draw: Draw


_OKABE_ITO = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
    "#000000",
    "#999933",
)
"""Colours that stay apart for colour-blind readers."""

FEWEST = 10
"""Convergence begins after so many images: intervals of fewer would fill the page."""

CURVE_IMAGES = 2000
"""Curves are averaged over at most so many images of the seeded order."""


def chart(reader: RunReader, kind: str) -> Figure:
    """Draw one chart, a panel per backbone.

    Raises:
        UsageError: no such chart, or matplotlib is not installed.
        NotFound: the run has nothing to draw in it yet.
    """
    charts = known_charts()
    if kind not in charts:
        raise UsageError(
            f"no chart '{printable(kind, 40)}'",
            f"{did_you_mean(kind, charts)}known: {', '.join(charts)}",
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "charts need matplotlib, which is not installed", 'pip install "camtui[figures]"'
        ) from error
    if kind in catalog.curve_metrics() and kind not in reader.plan().metrics:
        raise NotFound(f"the run has no {kind} curves", f"camtui run … --metric {kind} adds them")
    ranked = shown_metrics(reader) if kind == "ranks" else ()
    views = finished_views(reader, ranked, otherwise="camtui table RUN")
    if kind == "convergence" and max(view.summary.n for view in views) < FEWEST:
        raise NotFound(
            f"convergence needs {FEWEST} images or more", "camtui run … --limit N takes more"
        )
    backbones = list(dict.fromkeys(view.cell.backbone for view in views))
    figure = Figure(figsize=(1 + 4.2 * len(backbones), 4.2), layout="constrained")
    for place, backbone in enumerate(backbones, 1):
        axes = figure.add_subplot(1, len(backbones), place)
        axes.set_title(_plain(backbone_title(backbone)), fontsize=10)
        axes.set_prop_cycle(color=_OKABE_ITO)
        axes.spines[["top", "right"]].set_visible(False)
        charts[kind].draw(axes, reader, [view for view in views if view.cell.backbone == backbone])
    handles = {
        label: line
        for axes in figure.axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = min(4, max(2, 2 * len(backbones)))
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        frameon=False,
    )
    return figure


def save(figure: Figure, stream: BinaryIO, form: str) -> None:
    """Write a chart as ``png``, ``svg`` or ``pdf``; the same chart gives the same bytes."""
    from matplotlib import rc_context

    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with rc_context({"svg.hashsalt": "camtui", "svg.fonttype": "none"}):
        figure.savefig(stream, format=form, dpi=150, metadata=dates.get(form))


def _convergence(axes: Axes, reader: RunReader, views: Sequence[CellView]) -> None:
    """Draw the headline after the first n images of the seeded order, with its 95 % band."""
    for view in views:
        if view.control:
            continue
        means = [
            mean
            for mean in convergence(reader.averages.convergence(view.cell.id), view.summary.n)
            if mean.n >= FEWEST
        ]
        n, middle = [mean.n for mean in means], np.array([100 * mean.value for mean in means])
        band = np.array([100 * (mean.half_width or 0.0) for mean in means])
        (line,) = axes.plot(n, middle, label=_label(view))
        axes.fill_between(
            n, middle - band, middle + band, alpha=0.2, color=line.get_color(), linewidth=0
        )
    axes.set_xlabel("images")
    axes.set_ylabel("ADCC ↑ with 95 % interval")


def _components(axes: Axes, _: RunReader, views: Sequence[CellView]) -> None:
    """Draw the components of each method's ADCC, all turned so that more is better."""
    parts = {
        "coherency": "coherency",
        "complexity": "1 − complexity",
        "average_drop": "1 − drop",
        "adcc": "ADCC",
    }
    width = 0.8 / len(parts)
    for place, (key, label) in enumerate(parts.items()):
        heights, errors = [], []
        for view in views:
            mean = view.mean(key)
            assert mean is not None
            heights.append(
                100 * (1 - mean.value if key in ("complexity", "average_drop") else mean.value)
            )
            errors.append(100 * (mean.half_width or 0.0))
        places = np.arange(len(views)) + (place - 1.5) * width
        axes.bar(places, heights, width, yerr=errors, label=label, error_kw={"linewidth": 0.8})
    axes.set_xticks(
        range(len(views)), [_label(view) for view in views], rotation=35, ha="right", fontsize=8
    )
    axes.set_ylim(0, 105)


def _ranks(axes: Axes, reader: RunReader, views: Sequence[CellView]) -> None:
    """Draw the rank of every method in every metric, filled where it ties with the best."""
    metrics = [
        metric for metric in shown_metrics(reader) if all(view.mean(metric.key) for view in views)
    ]
    shown = [view for view in views if not view.control]
    for view in shown:
        ranks = [1 + sum(_better(other, view, metric.key) for other in shown) for metric in metrics]
        (line,) = axes.plot(range(len(metrics)), ranks, linewidth=1, label=_label(view))
        for place, (metric, rank) in enumerate(zip(metrics, ranks, strict=True)):
            leads = view.marks.get(metric.key, "") in ("best", "tie")
            axes.plot(
                place,
                rank,
                "o",
                color=line.get_color(),
                markerfacecolor=line.get_color() if leads else "white",
            )
    names = [metric_header(metric) for metric in metrics]
    axes.set_xticks(range(len(metrics)), names, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(1, len(shown) + 1))
    axes.invert_yaxis()
    axes.set_ylabel("rank")


def _better(first: CellView, second: CellView, metric: str) -> bool:
    one, other = first.mean(metric), second.mean(metric)
    assert one is not None
    assert other is not None
    return known_metrics()[metric].is_better(one.value, other.value)


def _curves(metric: str) -> Draw:
    def draw(axes: Axes, reader: RunReader, views: Sequence[CellView]) -> None:
        for view in views:
            reader.checks.verify([view.cell.id], metric)
            points = _mean_curve(reader, view, metric)
            if points is not None:
                axes.plot(np.linspace(0, 100, len(points)), 100 * points, label=_label(view))
        axes.set_xlabel(f"pixels {known_metrics()[metric].curve_pixels}, %")
        axes.set_ylabel("probability of the class, %")

    return draw


def _mean_curve(reader: RunReader, view: CellView, metric: str) -> np.ndarray | None:
    """Return the average curve of the first images of a cell."""
    total, n = None, 0
    for image in range(min(CURVE_IMAGES, view.images)):
        found = reader.rows.measurements(view.cell.id, image).get(metric)
        if found is not None:
            points = np.frombuffer(found.curve, dtype="<f2").astype(np.float64)
            total, n = (points if total is None else total + points), n + 1
    return None if total is None else total / n


def _label(view: CellView) -> str:
    return _plain(method_title(view.cell.method))


def _plain(text: str) -> str:
    """Return text that matplotlib takes as it is: a pair of ``$`` would be mathematics."""
    return text.replace("$", r"\$")


def known_charts() -> dict[str, Chart]:
    """Return every chart by name, with a curve for each metric that has one."""
    curves = {
        metric: Chart(f"{known_metrics()[metric].title} curve, mean over images", _curves(metric))
        for metric in catalog.curve_metrics()
    }
    return {**CHARTS, **curves}


CHARTS: dict[str, Chart] = {
    "convergence": Chart("ADCC after the first n images", _convergence),
    "components": Chart("What ADCC is made of", _components),
    "ranks": Chart("Rank in each metric (filled: not separated from the best)", _ranks),
}
"""Those that every run may have."""
