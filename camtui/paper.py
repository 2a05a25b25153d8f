"""The paper's Tables 1 and 2 as data, and the differences of a run from them.

Poppi, Cornia, Baraldi, Cucchiara: Revisiting The Evaluation of Class Activation Mapping for
Explainability, CVPR Workshops 2021.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from camtui.format.cells import CellView, cell_views, may_tie, shown_metrics
from camtui.format.numbers import count
from evaluator import catalog
from evaluator.backbones import DEFAULT_WEIGHTS, SHORT_SIDE, BackboneSpec
from evaluator.errors import NotFound
from evaluator.metrics.base import Metric
from evaluator.plan import RunPlan
from evaluator.statistics import FEWEST_TESTED, LEVEL, Mean, holm_separated
from evaluator.text import printable

if TYPE_CHECKING:
    from pydantic import Field

    from camtui.payloads import Count
    from evaluator.store.reader import RunReader

IMAGES = 50_000
"""The whole validation set of ILSVRC2012."""

PRINTED = 0.00005
"""Half of the last printed digit, as a fraction: a printed number stands for anything within it."""

PAPER_WEIGHTS = "IMAGENET1K_V1"
"""Torchvision's weights of 2021."""

Kind = Literal["weights", "protocol", "number of images"]

PaperTable = dict[str, dict[str, dict[str, float]]]
"""backbone → method → metric → percent, as printed."""


@cache
def _packaged() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        resources.files("camtui").joinpath("data/paper_tables.json").read_text("utf-8")
    )
    return loaded


def table1() -> PaperTable:
    """Average drop and increase beside Fake-CAM's, on VGG-16 and ResNet-50."""
    tables: PaperTable = _packaged()["table1"]
    return tables


def table2() -> PaperTable:
    """Seven metrics, six backbones, 31 rows."""
    tables: PaperTable = _packaged()["table2"]
    return tables


@dataclass(frozen=True)
class ClaimHere:
    """One claim of the paper's text, pair by pair of methods: one beats another in a metric.

    Attributes:
        holds, fails: pairs that the paired t test separates, as claimed and the other way round
            (5 % over all pairs of the claim, Holm).
        undecided: pairs that it does not separate, or that have fewer than 10 images.
        unmeasured: pairs that the run lacks.
        printed: pairs that hold in the paper's own Table 2.
        against: those that fail, in words.
    """

    text: str
    holds: Count
    fails: Count
    undecided: Count
    unmeasured: Count
    printed: Annotated[Count, Field(description="pairs that hold in the paper's own Table 2")]
    against: tuple[str, ...]

    @property
    def pairs(self) -> int:
        """How many the claim is made of."""
        return self.holds + self.fails + self.undecided + self.unmeasured

    @property
    def verdict(self) -> str:
        """In a word: of what is measured."""
        if self.unmeasured == self.pairs:
            return "not measured"
        if self.fails:
            return "no" if not self.holds else "in part"
        if self.undecided:
            return "not certain"
        return "yes"


class Deviation(NamedTuple):
    """One thing that makes a run another experiment than the paper's, in words."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class AgainstPaper:
    """One metric of one cell beside the printed number, fractions.

    Attributes:
        backbone, method: as the run names them, options included.
    """

    backbone: str
    method: str
    metric: str
    ours: Mean
    theirs: float

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours.value - self.theirs

    @property
    def within(self) -> bool | None:
        """Whether theirs lies in our 95 % interval, widened by half of the last printed digit."""
        if self.ours.half_width is None:
            return None
        return abs(self.difference) <= self.ours.half_width + PRINTED


@dataclass(frozen=True)
class PaperComparison:
    """A run beside Table 2.

    Attributes:
        deviations: what makes the run another experiment than the paper's; empty where nothing is
            known to.
        differs_in: kinds of these, for a heading.
        other_weights: backbones whose weights are not the paper's, and what they are.
        open_choices: where the paper leaves a choice, and which one this run took.
        claims: of the paper's text, and whether they hold in the run.
    """

    rows: tuple[AgainstPaper, ...]
    deviations: tuple[str, ...]
    open_choices: tuple[str, ...]
    claims: tuple[ClaimHere, ...]
    differs_in: tuple[Kind, ...] = ()
    other_weights: tuple[tuple[str, str], ...] = ()


def compare_with_paper(reader: RunReader, metrics: Sequence[Metric] = ()) -> PaperComparison:
    """Every number of a run that the paper has too.

    Args:
        metrics: only these; all that both have otherwise.

    Raises:
        NotFound: no backbone, or no method of a common backbone, stands in the paper.
    """
    plan, views = reader.plan(), cell_views(reader)
    names = {spec.name: spec for spec in plan.backbones}
    if not any(spec.key in table2() for spec in plan.backbones):
        raise NotFound(
            f"the paper has none of this run's networks ({', '.join(names)})",
            f"it has {', '.join(table2())}: camtui run -b resnet50",
        )
    rows = [
        row
        for view in views
        for row in _rows(view, names[view.cell.backbone], metrics or shown_metrics(reader))
    ]
    if not rows:
        raise NotFound(
            "no number of this run stands in the paper yet",
            "it has fakecam, gradcam, gradcampp, scorecam …: camtui table RUN",
        )
    used = [
        view
        for view in views
        if any(
            row.backbone == view.cell.backbone and row.method == view.cell.method for row in rows
        )
    ]
    other = _other_weights(reader, plan, {view.cell.backbone for view in used})
    deviations = list(_deviations(reader, plan, used, other))
    kinds = {one.kind for one in deviations}
    return PaperComparison(
        tuple(rows),
        tuple(one.text for one in deviations),
        tuple(_open_choices(plan, rows)),
        tuple(_checked(reader, views, names, claim) for claim in _packaged()["claims"]),
        tuple(kind for kind in get_args(Kind) if kind in kinds),
        tuple(other.items()),
    )


def _other_weights(reader: RunReader, plan: RunPlan, used: Set[str]) -> dict[str, str]:
    """Return the backbones that are not known to have the paper's weights, with theirs."""
    loaded = reader.backbones()
    found = {}
    for spec in (spec for spec in plan.backbones if spec.name in used):
        facts = loaded.get(spec.name)
        weights = facts.weights if facts is not None else PAPER_WEIGHTS
        if spec.weights != DEFAULT_WEIGHTS:
            found[spec.name] = printable(spec.weights)
        elif weights != PAPER_WEIGHTS:
            found[spec.name] = printable(weights)
    return found


def _rows(
    view: CellView, backbone: BackboneSpec, metrics: Sequence[Metric]
) -> Iterator[AgainstPaper]:
    printed = table2().get(backbone.key, {}).get(catalog.split_spec(view.cell.method)[0], {})
    for metric in metrics:
        mean = view.mean(metric.key)
        if metric.key in printed and mean is not None:
            yield AgainstPaper(
                view.cell.backbone, view.cell.method, metric.key, mean, printed[metric.key] / 100
            )


def _deviations(
    reader: RunReader, plan: RunPlan, views: Sequence[CellView], other: Mapping[str, str]
) -> Iterator[Deviation]:
    used = {view.cell.backbone for view in views}
    for name, weights in other.items():
        yield Deviation(
            "weights",
            f"{name}: weights {weights}; the paper's are torchvision's of 2021 ({PAPER_WEIGHTS})",
        )
    images = reader.images_wanted()
    if images != IMAGES:
        yield Deviation(
            "number of images",
            f"{count(images)} images; the paper averages the {count(IMAGES)} "
            "of ImageNet's validation set",
        )
    few = [
        f"{view.cell.backbone}/{view.cell.method} {count(view.summary.n)}"
        for view in views
        if view.partial
    ]
    if few:
        yield Deviation("number of images", f"not every image yet: {', '.join(few)}")
    for text in _other_protocol(plan, used, views):
        yield Deviation("protocol", text)


def _other_protocol(plan: RunPlan, used: Set[str], views: Sequence[CellView]) -> Iterator[str]:
    for spec in (spec for spec in plan.backbones if spec.name in used):
        if spec.layer is not None and spec.key != "vgg16":
            yield f"{spec.name}: layer {spec.layer}; the paper takes the last convolutional layer"
        if spec.overrides:
            yield f"{spec.name}: {', '.join(spec.overrides)} not as in the paper"
    if plan.resize != SHORT_SIDE:
        yield (
            f"short side resized to {plan.resize} before the crop; the "
            f"released code resizes to {SHORT_SIDE}"
        )
    if plan.masking != "normalised":
        yield "explanation maps are masked before normalisation; the released code masks after it"
    if plan.removed != "zero":
        yield f"pixels that deletion takes away become {plan.removed}; the released code's, zero"
    if plan.target != "predicted":
        yield "the label is explained; the released code explains the predicted class"
    if plan.precision != "fp32":
        yield f"precision {plan.precision}"
    for method in dict.fromkeys(view.cell.method for view in views):
        if catalog.split_spec(method)[1]:
            yield f"{method}: options that the paper's row does not have"


def _open_choices(plan: RunPlan, rows: Sequence[AgainstPaper]) -> Iterator[str]:
    present = {
        "",
        *(row.metric for row in rows),
        *(catalog.split_spec(row.method)[0] for row in rows),
    }
    present |= {
        spec.key for spec in plan.backbones if any(row.backbone == spec.name for row in rows)
    }
    present |= {"deletion"} if "insertion" in present else set()
    return (choice["text"] for choice in _packaged()["choices"] if choice["about"] in present)


def _checked(
    reader: RunReader,
    views: Sequence[CellView],
    names: Mapping[str, BackboneSpec],
    claim: Mapping[str, Any],
) -> ClaimHere:
    """Hold one claim against a run; of a network that stands in it twice, against the first."""
    known = {(names[view.cell.backbone].key, view.cell.method): view for view in reversed(views)}
    printed, unmeasured = 0, 0
    pairs: list[tuple[CellView, CellView, Metric]] = []
    for network, key, first, second in _claimed(claim):
        metric, theirs = catalog.metric(key), table2()[network]
        printed += metric.is_better(theirs[first][key], theirs[second][key])
        one, other = known.get((network, first)), known.get((network, second))
        if one and other and one.mean(key) and other.mean(key):
            pairs.append((one, other, metric))
        else:
            unmeasured += 1
    separated = _separated(reader, pairs)
    against = [pairs[place] for place, as_claimed in separated.items() if not as_claimed]
    return ClaimHere(
        claim["text"],
        sum(separated.values()),
        len(against),
        len(pairs) - len(separated),
        unmeasured,
        printed,
        tuple(
            f"{one.cell.backbone}: {other.cell.method} beats {one.cell.method} in {metric.key}"
            for one, other, metric in against
        ),
    )


def _claimed(claim: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield network, metric, and the two methods of which the first is said to be better."""
    for network in claim["networks"]:
        printed = table2()[network]
        for metric in claim["metrics"]:
            for first in filter(printed.__contains__, claim["better"]):
                for second in filter(printed.__contains__, claim["than"]):
                    yield network, metric, first, second


def _separated(
    reader: RunReader, pairs: Sequence[tuple[CellView, CellView, Metric]]
) -> dict[int, bool]:
    """Return the pairs that are separated, by place, and whether the first is the better."""
    p: dict[int, float] = {}
    for place, (one, other, metric) in enumerate(pairs):
        first, second = one.mean(metric.key), other.mean(metric.key)
        assert first is not None
        assert second is not None
        if min(first.n, second.n) < FEWEST_TESTED:
            continue
        if not may_tie(one, other, metric, LEVEL / len(pairs)):
            p[place] = 0.0  # apart by more than any error of the difference allows: not read
            continue
        difference = reader.averages.paired(metric.key, one.cell.id, other.cell.id)
        if difference is not None and difference.tested and difference.p is not None:
            p[place] = difference.p
    return {place: _beats(*pairs[place]) for place in sorted(holm_separated(p, len(pairs)))}


def _beats(one: CellView, other: CellView, metric: Metric) -> bool:
    first, second = one.mean(metric.key), other.mean(metric.key)
    assert first is not None
    assert second is not None
    return metric.is_better(first.value, second.value)
