"""What a metric is, as data: name, direction, paper. No torch here; the formulas stand in the files beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One number per (backbone, method, image), stored as a fraction and shown ×100.

    Attributes:
        key: the name everywhere: database, exports, options.
        title: for people; ``short``: for narrow columns.
        paper: where it was proposed.
        better: ``higher`` or ``lower``.
        definition: the formula in one line.
        curve: whether it is the area under a curve, costs forwards of its own and is computed on request only.
    """

    key: str
    title: str
    short: str
    paper: str
    better: Literal["higher", "lower"]
    definition: str
    curve: bool = False

    @property
    def arrow(self) -> str:
        """``↑`` where higher is better, ``↓`` where lower is."""
        return "↑" if self.better == "higher" else "↓"

    @property
    def sign(self) -> int:
        """+1 where higher is better, −1 where lower is: ``sign * value`` is always to be maximised."""
        return 1 if self.better == "higher" else -1
