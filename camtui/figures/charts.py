"""Charts of a run's averages by matplotlib, an extra: convergence, components, ranks, curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

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

Style = dict[str, Any]
"""Colour and kind of line of a method, as matplotlib takes them."""

Draw = Callable[["Axes", "RunReader", Sequence[CellView], Mapping[str, Style]], None]


class Chart(NamedTuple):
    """One kind of chart: what it shows, in words, and how one panel of it is drawn.

    Attributes:
        lines: it has a line for each method, so that the best of many are shown; others have a row.
    """

    title: str
    draw: Draw
    lines: bool = True


class Ranked(NamedTuple):
    """Ranks of methods in several places, for one panel of ``bump``.

    Attributes:
        places: what stands below each column.
        ranks: method → its rank in each place, ``None`` where it has none.
        filled: those ranks that are not separated from the best.
    """

    title: str
    places: Sequence[str]
    ranks: Mapping[str, Sequence[float | None]]
    filled: Set[tuple[str, int]] = frozenset()


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

MOST = 8
"""Methods in a chart that has a line for each."""

FEWEST = 10
"""Convergence begins after so many images: intervals of fewer would fill the page."""

CURVE_IMAGES = 2000
"""Curves are averaged over at most so many images of the seeded order."""


def chart(reader: RunReader, kind: str, backbone: str = "") -> Figure:
    """Draw one chart, a panel per backbone.

    Args:
        backbone: only this one.

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
    if kind in catalog.curve_metrics() and kind not in reader.plan().metrics:
        _figure(1, 1)  # without matplotlib that is what is said
        raise NotFound(f"the run has no {kind} curves", f"camtui run … --metric {kind} adds them")
    ranked = shown_metrics(reader) if kind == "ranks" else ()
    views = finished_views(reader, ranked, otherwise="camtui table RUN")
    if kind == "convergence" and max(view.summary.n for view in views) < FEWEST:
        raise NotFound(
            f"convergence needs {FEWEST} images or more", "camtui run … --limit N takes more"
        )
    shown = _shown(views, most=MOST if charts[kind].lines else None)
    styles = styles_of(dict.fromkeys(view.cell.method for view in shown))
    backbones = [backbone] if backbone else list(dict.fromkeys(v.cell.backbone for v in shown))
    rows = max(8, len(styles))
    figure = _figure(4.8 * len(backbones), 3.6 if charts[kind].lines else 1.4 + 0.22 * rows)
    for place, name in enumerate(backbones, 1):
        axes = _axes(figure, len(backbones), place, backbone_title(name))
        mine = [view for view in shown if view.cell.backbone == name]
        charts[kind].draw(axes, reader, mine, styles)
    handles = {
        label: line
        for axes in figure.axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    methods = {view.cell.method for view in views if not view.control}
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=2 * len(backbones),
            fontsize=8,
            frameon=False,
            title=f"the {MOST} best in ADCC of {len(methods)} methods"
            if charts[kind].lines and len(methods) > MOST
            else None,
            title_fontsize=8,
        )
    return figure


def bump(panels: Sequence[Ranked]) -> Figure:
    """Draw how ranks change from place to place, a panel each; every line has its name behind it.

    Raises:
        UsageError: matplotlib is not installed.
    """
    styles = styles_of(dict.fromkeys(method for panel in panels for method in panel.ranks))
    most = max(len(panel.ranks) for panel in panels)
    width = sum(2.2 + 1.1 * len(panel.places) for panel in panels)
    figure = _figure(width, 1.2 + 0.24 * most)
    for place, panel in enumerate(panels, 1):
        _bump(_axes(figure, len(panels), place, panel.title), panel, styles)
    return figure


def styles_of(methods: Iterable[str]) -> dict[str, Style]:
    """Return a colour for each method, beyond eight another kind of line.

    >>> styles_of(["gradcam"])["gradcam"]["linestyle"]
    '-'
    """
    return {
        method: {
            "color": _OKABE_ITO[place % len(_OKABE_ITO)],
            "linestyle": ("-", "--", ":")[place // len(_OKABE_ITO) % 3],
        }
        for place, method in enumerate(methods)
    }


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "charts need matplotlib, which is not installed", 'pip install "camtui[figures]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _axes(figure: Figure, panels: int, place: int, title: str) -> Axes:
    axes = figure.add_subplot(1, panels, place)
    axes.set_title(_plain(title), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _shown(views: Sequence[CellView], most: int | None) -> list[CellView]:
    """Return each map once, controls last; of many the best in ADCC over all backbones."""
    names = {(view.cell.backbone, view.cell.method) for view in views}
    once = [view for view in views if (view.cell.backbone, view.twin) not in names]
    sums: dict[str, list[float]] = {}
    for view in once:
        mean = view.mean("adcc")
        sums.setdefault(view.cell.method, []).append(mean.value if mean else 0.0)
    best = sorted(
        (name for name in sums if not catalog.is_control(name)),
        key=lambda name: -sum(sums[name]) / len(sums[name]),
    )[:most]
    return sorted(
        (view for view in once if view.control or view.cell.method in best),
        key=lambda view: view.control,
    )


def save(figure: Figure, stream: BinaryIO, form: str) -> None:
    """Write a chart as ``png``, ``svg`` or ``pdf``; the same chart gives the same bytes."""
    from matplotlib import rc_context

    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with rc_context({"svg.hashsalt": "camtui", "svg.fonttype": "none"}):
        figure.savefig(stream, format=form, dpi=150, metadata=dates.get(form))


def _convergence(
    axes: Axes, reader: RunReader, views: Sequence[CellView], styles: Mapping[str, Style]
) -> None:
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
        style = styles[view.cell.method]
        axes.plot(n, middle, label=_label(view), **style)
        axes.fill_between(
            n, middle - band, middle + band, alpha=0.2, color=style["color"], linewidth=0
        )
    axes.locator_params("x", integer=True, min_n_ticks=1)
    axes.set_xlabel("images")
    axes.set_ylabel("ADCC ↑ with 95 % interval")


def _components(
    axes: Axes, _: RunReader, views: Sequence[CellView], __: Mapping[str, Style]
) -> None:
    """Draw the components of each method's ADCC, all turned so that more is better."""
    parts = {
        "coherency": ("coherency", "s"),
        "complexity": ("1 − complexity", "v"),
        "average_drop": ("1 − drop", "^"),
        "adcc": ("ADCC", "o"),
    }
    places = range(len(views))
    for number, (key, (label, marker)) in enumerate(parts.items()):
        means = [mean for view in views if (mean := view.mean(key)) is not None]
        values = [1 - m.value if key in ("complexity", "average_drop") else m.value for m in means]
        axes.errorbar(
            [100 * value for value in values],
            [place + (number - 1.5) * 0.16 for place in places],
            xerr=[100 * (mean.half_width or 0.0) for mean in means],
            fmt=marker,
            label=label,
            color=_OKABE_ITO[number],
            markersize=6 if key == "adcc" else 4,
            linewidth=0.9,
        )
    axes.set_yticks(places, [_label(view) for view in views], fontsize=8)
    axes.set_ylim(len(views) - 0.4, -0.6)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("%, with 95 % interval")
    axes.grid(axis="y", alpha=0.25)


def _ranks(
    axes: Axes, reader: RunReader, views: Sequence[CellView], styles: Mapping[str, Style]
) -> None:
    """Draw the rank of every method in every metric, filled where it ties with the best."""
    metrics = [
        metric for metric in shown_metrics(reader) if all(view.mean(metric.key) for view in views)
    ]
    shown = [view for view in views if not view.control]
    ranks = {
        view.cell.method: [
            1 + sum(_better(other, view, metric.key) for other in shown) for metric in metrics
        ]
        for view in shown
    }
    leading = {
        (view.cell.method, place)
        for view in shown
        for place, metric in enumerate(metrics)
        if view.marks.get(metric.key, "") in ("best", "tie")
    }
    names = [metric_header(metric) for metric in metrics]
    _bump(axes, Ranked("", names, ranks, leading), styles)


def _bump(axes: Axes, panel: Ranked, styles: Mapping[str, Style]) -> None:
    last = len(panel.places) - 1
    for method, ranks in panel.ranks.items():
        style = styles[method]
        having = [(place, rank) for place, rank in enumerate(ranks) if rank is not None]
        axes.plot(*zip(*having, strict=True), linewidth=1.2, **style)
        for place, rank in having:
            face = style["color"] if (method, place) in panel.filled else "white"
            axes.plot(place, rank, "o", color=style["color"], markerfacecolor=face, markersize=5)
    ends = sorted(
        (ranks[last], method) for method, ranks in panel.ranks.items() if ranks[last] is not None
    )
    names: list[tuple[int, float, str]] = [  # ranks may be equal, and names must not be
        (last, height, method) for height, (_, method) in enumerate(ends, 1)
    ]
    for method, ranks in panel.ranks.items():
        if ranks[last] is None:
            place, rank = [(n, rank) for n, rank in enumerate(ranks) if rank is not None][-1]
            names.append((place, rank, method))
    for place, height, method in names:
        axes.text(
            place + 0.12,
            height,
            _plain(method_title(method)),
            color=styles[method]["color"],
            fontsize=8,
            va="center",
        )
    lowest = max(rank for ranks in panel.ranks.values() for rank in ranks if rank is not None)
    axes.set_xlim(-0.2, last + 0.2)
    axes.set_xticks(range(last + 1), list(map(_plain, panel.places)), fontsize=8)
    if last > 3:
        axes.tick_params("x", rotation=35)
    axes.set_yticks(range(1, round(lowest) + 1))
    axes.set_ylim(max(lowest, len(ends)) + 0.5, 0.5)
    axes.set_ylabel("rank")


def _better(first: CellView, second: CellView, metric: str) -> bool:
    one, other = first.mean(metric), second.mean(metric)
    assert one is not None
    assert other is not None
    return known_metrics()[metric].is_better(one.value, other.value)


def _curves(metric: str) -> Draw:
    def draw(
        axes: Axes, reader: RunReader, views: Sequence[CellView], styles: Mapping[str, Style]
    ) -> None:
        for view in views:
            reader.checks.verify([view.cell.id], metric)
            points = _mean_curve(reader, view, metric)
            if points is not None:
                axes.plot(
                    np.linspace(0, 100, len(points)),
                    100 * points,
                    label=_label(view),
                    **styles[view.cell.method],
                )
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
    "components": Chart("What ADCC is made of", _components, lines=False),
    "ranks": Chart(
        "Rank in each metric (filled: not separated from the best)", _ranks, lines=False
    ),
}
"""Those that every run may have."""
