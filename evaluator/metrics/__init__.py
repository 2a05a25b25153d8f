"""The metrics, one per file: ``METRIC`` describes it, a pure function computes it.

No function here knows a network or a method. A new file here is a new, optional metric:
as a curve, with ``frame`` and ``ends``, or, with ``measure``, from what every finished row has
stored (``base.Explained``).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from evaluator.metrics.base import Metric

_PAPER_ORDER = (
    "average_drop",
    "average_increase",
    "deletion",
    "insertion",
    "coherency",
    "complexity",
    "adcc",
)


@cache
def all_metrics() -> dict[str, Metric]:
    """Return every metric by key: the paper's seven as in its Table 2, then the others by name."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    found = {module.METRIC.key: module.METRIC for module in modules if hasattr(module, "METRIC")}
    rank = {key: place for place, key in enumerate(_PAPER_ORDER)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))
