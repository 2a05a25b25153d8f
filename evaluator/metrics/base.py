"""What a metric is, as data: name, direction, paper. No torch here; the formulas stand in the files beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.measuring.saliency import Saliency


@dataclass(frozen=True)
class Metric:
    """One number per (backbone, method, image), stored as a fraction and shown ×100.

    Attributes:
        key: the name everywhere: database, exports, options.
        title: for people; ``short``: for narrow columns.
        paper: where it was proposed.
        better: ``higher`` or ``lower``.
        definition: the formula in one line.
        curve: whether it is the area under a curve and costs forwards of its own: its file has ``frame`` and ``ends``.
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


class Explained(NamedTuple):
    """What a run has stored of B images under one method: all that ``measure(explained) -> [B]`` needs, without a forward.

    Attributes:
        clean: ``y_c``, ``[B]``, float64, probability of the target on the image; ``masked``: ``o_c``, on the explanation map.
        saliency: ``U``, the maps.
    """

    clean: Tensor
    masked: Tensor
    saliency: Saliency
