"""Choice of methods on networks: ``--filter`` and ``--sort`` of tables, ``find_cell`` of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from camtui.format.cells import MEANS_OF_IMAGES, CellView
from camtui.format.terms import Grammar
from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.errors import NotFound, UsageError
from evaluator.records import Cell
from evaluator.store.reader import RunReader
from evaluator.text import did_you_mean, printable

_COUNTS = ("n", "failed", "degenerate")


def matching(views: Sequence[CellView], expression: str) -> list[CellView]:
    """Return the cells that meet every term of an expression.

    Terms are separated by commas: ``backbone=resnet*`` and ``method!=fakecam`` match by wildcard,
    ``adcc>70`` and ``n>=1000`` by number (metrics in percent), and a bare word is looked for in
    ``BACKBONE/METHOD``.

    Raises:
        UsageError: an expression that cannot be read.
        NotFound: nothing meets it.
    """
    found = list(filter(_grammar().test(expression), views))
    if not found:
        raise NotFound(
            f"nothing matches '{printable(expression, 60)}'", "camtui table RUN shows everything"
        )
    return found


def _grammar() -> Grammar[CellView]:
    counts: dict[str, Callable[[CellView], float | None]] = {
        name: partial(_count, name) for name in _COUNTS
    }
    metrics = {name: partial(_percent, name) for name in (*known_metrics(), *MEANS_OF_IMAGES)}
    return Grammar(
        texts={
            "backbone": lambda view: view.cell.backbone,
            "method": lambda view: view.cell.method,
        },
        numbers={**counts, **metrics},
        words=lambda view: f"{view.cell.backbone}/{view.cell.method}",
        example="for example --filter 'backbone=resnet*, adcc>70'",
    )


def _count(name: str, view: CellView) -> float:
    return float(getattr(view.summary, name))


def _percent(metric: str, view: CellView) -> float | None:
    mean = view.mean(metric)
    return None if mean is None else 100 * mean.value


def ordered(views: Sequence[CellView], metric: str) -> list[CellView]:
    """Return the cells by one metric, best first; those without a value stand last.

    Raises:
        UsageError: no such metric.
    """
    return sorted(views, key=lambda view: best_first(view, metric))


def best_first(view: CellView, metric: str) -> tuple[bool, float]:
    """Return a key that sorts by one metric, best first; what has no value stands last.

    Raises:
        UsageError: no such metric.
    """
    sign = catalog.metric(metric.removeprefix("mean_image_")).sign
    mean = view.mean(metric)
    return mean is None, -sign * mean.value if mean else 0.0


def find_cell(reader: RunReader, text: str) -> Cell:
    """Return the cell of ``NETWORK/METHOD``, ``NETWORK:METHOD``, a method, or a part of one only.

    Raises:
        UsageError: more than one.
        NotFound: none.
    """
    cells = {f"{cell.backbone}/{cell.method}": cell for cell in reader.cells()}
    word = text.lower()
    spelled = {
        name: (name.lower(), f"{cell.backbone}:{cell.method}".lower(), cell.method.lower())
        for name, cell in cells.items()
    }
    exact = [name for name, ways in spelled.items() if word in ways]
    near = exact or [name for name, ways in spelled.items() if any(word in way for way in ways)]
    if len(near) == 1:
        return cells[near[0]]
    if near:
        raise UsageError(
            f"'{printable(text, 60)}' may be any of {len(near)}", f"one of {_listed(near)}"
        )
    methods = list(dict.fromkeys(cell.method for cell in cells.values()))
    meant = did_you_mean(text, [*cells, *methods])
    raise NotFound(
        f"no network and method '{printable(text, 60)}'",
        f"{meant}the run has {_listed(list(cells))}",
    )


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (
        f" and {len(names) - most} more: camtui table RUN" if len(names) > most else ""
    )
