"""Judgements of metrics: their records here, without numpy.

``bootstrap``  rank correlation and intervals over images  ·  ``judgement``  a run's stored numbers
as arrays; agreement, controls, sensitivity, stability
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

if TYPE_CHECKING:
    from pydantic import Field

    from camtui.payloads import MetricKey, PositiveCount, Share

Against = Literal["wrong class", "random weights"]
"""Kinds of maps that must be worse."""


@dataclass(frozen=True)
class Estimate:
    """A statistic over all images and its 95 % interval; null where no image defines it."""

    value: float | None
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=0, description="images that it rests on")]


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b with the order of the truth, -1 to 1.

    Attributes:
        truth: the measure of truth; both order the methods.
        per_image: the mean over images of each image's τ.
        of_averages: τ of the methods' averages.
    """

    metric: MetricKey
    truth: Annotated[str, Field(description="the measure of truth")]
    per_image: Estimate
    of_averages: Estimate


@dataclass(frozen=True)
class ControlWins:
    """Share of the images on which the control is above every method.

    Attributes:
        on_average: whether its average is above that of every method.
    """

    metric: MetricKey
    control: str
    share: Estimate
    on_average: bool | None
    chance: Annotated[float, Field(description="1 in as many as there are methods and one control")]


CHANCE = 0.5
"""How often a value is worse that does not depend on what was altered; ties count half."""


@dataclass(frozen=True)
class NullControl:
    """A fixed map, the same on both networks: what is noticed of it is the networks' confidence.

    Attributes:
        control: a method whose map is fixed.
        fall, noticed: as of ``Sensitivity``.
        excess: how much more often the methods' maps are noticed, over the images that have both.
    """

    control: str
    fall: Estimate
    noticed: Estimate
    excess: Annotated[
        Estimate, Field(description="noticed of the methods' maps minus that of this one")
    ]


@dataclass(frozen=True)
class Sensitivity:
    """Fall of the averages, as a fraction, and share of images whose value is worse.

    Attributes:
        against: ``wrong class`` or ``random weights``: maps that must be worse.
        methods: those that have such a map.
        fall: how much worse their averages are, the mean over the methods; a negative one is a
            rise.
        noticed: how often an image's value is worse, ties counting half.
        null_controls: what is noticed where the map is the same; none of the wrong class, where a
            fixed map ties with itself.
    """

    metric: MetricKey
    against: Against
    methods: tuple[str, ...]
    fall: Estimate
    noticed: Estimate
    chance: Annotated[Share, Field(description="noticed where nothing is told apart")] = CHANCE
    null_controls: tuple[NullControl, ...] = ()


@dataclass(frozen=True)
class Stability:
    """Tau-b between two disjoint random sets of so many images.

    Attributes:
        images: in each set.
        tau: the mean over pairs of sets, and an interval that holds 95 % of the pairs.
    """

    metric: MetricKey
    images: PositiveCount
    tau: Estimate


@dataclass(frozen=True)
class Judgement:
    """The judgement of one backbone's metrics.

    Attributes:
        methods: twins left out.
        controls: those that must lose.
    """

    backbone: str
    methods: Annotated[tuple[str, ...], Field(description="those that are ranked")]
    controls: tuple[str, ...]
    twins: Annotated[
        dict[str, str], Field(description="method → the equal one that stands for both")
    ]
    lacking: Annotated[
        dict[str, tuple[str, ...]],
        Field(
            description="metric → the methods without a value of it, and without which it is judged"
        ),
    ]
    agreement: tuple[Agreement, ...]
    control_wins: tuple[ControlWins, ...]
    sensitivity: tuple[Sensitivity, ...]
    stability: tuple[Stability, ...]
