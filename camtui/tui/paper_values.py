"""The values that the paper printed, in place of what a run measured."""

from __future__ import annotations

from evaluator.catalog import split_spec
from evaluator.errors import CamtuiError


def printed_value(backbone: str, method: str, metric: str) -> float | None:
    """Return the value of the paper's Table 2 for a cell, as a fraction.

    Options of a backbone or a method are not the paper's: ``None`` where it has no such cell.
    """
    from camtui.paper import table2  # read when first asked for: the grid must be there at once

    try:
        names = split_spec(backbone)[0], split_spec(method)[0]
    except CamtuiError:  # a name that no run of ours would hold
        return None
    printed = table2().get(names[0], {}).get(names[1], {}).get(metric)
    return None if printed is None else printed / 100
