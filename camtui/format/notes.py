"""Notes beside numbers: run, images, random weights, failures, cells that are equal or absent.

What a mean is over is said where that is not every image of its cell, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from camtui.format.cells import CellView
from camtui.format.numbers import count
from camtui.runs import reference
from camtui.status import state_now
from evaluator import catalog
from evaluator.metrics.base import Metric
from evaluator.plan import PROTOCOL, RunPlan, earlier_choices, options_of
from evaluator.records import LoadedBackbone, Look
from evaluator.statistics import FEWEST_TESTED
from evaluator.stopping_rule import BURN_IN
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader


def look_text(look: Look, images: int, *, ended: bool = False) -> str:
    """Return whether the rule is met, or about how many images it still takes.

    Args:
        look: as stored.
        images: of the run, the ceiling.
        ended: the run is complete: nothing more is coming.
    """
    if look.decided is not None:
        return f"{look.rule}: met by the first {count(look.decided)} of {counted(images, 'image')}"
    if ended:
        return f"{look.rule}: not met after all {counted(images, 'image')}"
    return f"{look.rule}: {counted(look.images, 'image')} looked at, {more_text(look, images)}"


def more_text(look: Look, images: int) -> str:
    """``about 220 more``."""
    if look.needed is None:
        return f"how many it takes is known after {BURN_IN}, at most {count(images)}"
    if look.needed >= images:
        return f"probably not met after all {count(images)}"
    return f"about {count(max(0, look.needed - look.images))} more"


def short_forecast(look: Look | None, images: int) -> str:
    """For a line with little room: ``~220 more``; empty where nothing is known."""
    if look is None or look.decided is not None or look.needed is None or look.needed >= images:
        return ""
    return f"~{count(max(0, look.needed - look.images))} more"


BEST, TIE = "* best", "= not separated from the best"


NO_MAPS = "no maps of explanation or altered images"
"""Why maps that were made elsewhere lack a metric."""

UNDEFINED = "undefined: y is 0"
"""Why a row has neither average drop nor ADCC: the confidence in the explained class underflows."""


def run_title(reader: RunReader) -> str:
    """Return the run in a title: ``val-resnet · 50,000 images · complete``."""
    info = reader.info()
    return f"{printable(info.name)} · {counted(info.image_count, 'image')} · {state_now(reader)}"


def table_caption(reader: RunReader, views: Sequence[CellView], metrics: Sequence[Metric]) -> str:
    """Return a paper's caption: ``ADCC of 4 methods on 250 images, for vgg16 and resnet50.``."""
    methods = len({view.cell.method for view in views})
    images = counted(reader.info().image_count, "image")
    networks = list(dict.fromkeys(printable(view.cell.backbone) for view in views))
    up_to = "up to " if any(view.partial for view in views) else ""
    return (
        f"{_listed([metric.title for metric in metrics])} of {counted(methods, 'method')} on "
        f"{up_to}{images}, for {_listed(networks)}."
    )


def block_title(backbone: str, loaded: LoadedBackbone | None) -> str:
    """Return a backbone with its weights: ``resnet50 (IMAGENET1K_V1, layer4)``."""
    if loaded is None:
        return backbone
    if loaded.weights.startswith("random"):
        return (
            f"{backbone} (random weights, untrained: a trial of the machinery, "
            f"no result; layer {loaded.layer})"
        )
    return f"{backbone} ({printable(loaded.weights)}, layer {printable(loaded.layer)})"


def choice_text(plan: RunPlan, name: str) -> str:
    """``target predicted``: an option of the protocol and its value.

    The usual ``resize`` is no number of pixels: networks of another side have another.
    """
    value = getattr(plan, name)
    if name == "resize" and value == PROTOCOL[name].default:
        return "resize each network's own"
    return f"{name} {value}"


def run_notes(
    reader: RunReader,
    views: Sequence[CellView],
    *,
    ranked: bool = True,
    intervals: bool = True,
) -> Iterator[str]:
    """Yield notes on all blocks: signs, images left out, what is still missing.

    Args:
        ranked: whether the table shows ranks, so that lacking ones are explained.
        intervals: whether it shows intervals.
    """
    plan, info = reader.plan(), reader.info()
    yield from _signs(views, intervals)
    if ranked and any(_has_few(view) for view in views):
        yield f"fewer than {FEWEST_TESTED} images tell no methods apart: none of * and ="
    if any(view.marks for view in views):
        yield from _controls(views)
    yield from _optimising(views)
    look = reader.look()
    if look is not None:
        yield f"--until {look_text(look, info.image_count, ended=info.state == 'complete')}"
    if look is not None and look.dropped:
        yield (
            f"left the race, certainly worse: {_dropped(views)}; camtui resume "
            f"{reference(reader.path)} --all finishes them"
        )
    if plan.limit == info.image_count and (look is None or look.decided is None):
        yield (
            f"limited to the first {count(info.image_count)} "
            f"images of the order of seed {plan.seed} (--limit)"
        )
    changed = [
        f"{option.name} {getattr(plan, option.name)}"
        for option in options_of(())
        if getattr(plan, option.name) != option.default
    ]
    if changed:
        yield f"protocol: {', '.join(changed)}"
    yield from earlier_choices(plan, begun_earlier=reader.keeps_earlier_words())
    shown = {view.cell.backbone for view in views}
    for name, loaded in reader.backbones().items():
        if loaded is not None and name in shown:
            yield from (f"{name}: {remark}" for remark in loaded.remarks)
    if any(view.partial for view in views):
        yield "~ not every image yet: averages over its first n images; ranks may change"
    if plan.truth and (lacking := reader.without_truth()):
        yield (
            f"{counted(lacking, 'image')} without a truth: no value of "
            f"{', '.join(_truth_metrics(plan))}"
        )
    if any(view.summary.failed for view in views):
        yield (
            f"failures have no value and are in no average: camtui errors {reference(reader.path)}"
        )


def _controls(views: Sequence[CellView]) -> Iterator[str]:
    """Yield the methods without a rank: ``Fake-CAM and Centre, the controls, are not ranked``."""
    titles = list(
        dict.fromkeys(catalog.method(view.cell.method).title for view in views if view.control)
    )
    if len(titles) == 1:
        yield f"{titles[0]}, the control, is not ranked"
    elif titles:
        yield f"{_listed(titles)}, the controls, are not ranked"


def _optimising(views: Sequence[CellView]) -> Iterator[str]:
    """Yield the methods that were made for a metric: ``Opti-CAM optimises the drop: …``."""
    kinds = dict.fromkeys(type(catalog.method(view.cell.method)) for view in views)
    for kind in kinds:
        if kind.optimises:
            yield f"{kind.title} optimises {kind.optimises}: that value is what it was made for"


def _dropped(views: Sequence[CellView]) -> str:
    """``resnet50/gradcampp after 120``."""
    left = [
        f"{view.cell.backbone}/{view.cell.method} after {count(view.dropped)}"
        for view in views
        if view.dropped is not None
    ]
    return ", ".join(left) or "methods that are not shown"


def _truth_metrics(plan: RunPlan) -> list[str]:
    return [catalog.metric(key).title for key in catalog.truth_metrics() if key in plan.metrics]


def _signs(views: Sequence[CellView], intervals: bool) -> Iterator[str]:
    given = {mark for view in views for mark in view.marks.values()}
    known = intervals and any(view.summary.n > 1 for view in views)
    parts = ["± half of the 95 % interval"] if known else []
    parts += [BEST] if "best" in given else []
    if parts:
        yield ", ".join(parts)
    rivals = sorted({n for view in views for n in view.rivals.values() if n})
    if "best" in given and rivals:
        sign = TIE if "tie" in given else "the best is separated from the others"
        holm = f", Holm over {_methods(rivals)}" if rivals[-1] > 1 else ""
        yield f"{sign}: paired t test, 5 %{holm}"


def _methods(sizes: Sequence[int]) -> str:
    """``9 methods``, or ``7 to 9 methods`` where networks differ."""
    if sizes[0] == sizes[-1]:
        return counted(sizes[0], "method")
    return f"{sizes[0]} to {sizes[-1]} methods"


def _has_few(view: CellView) -> bool:
    """Return whether some average of a cell is over too few images for a rank."""
    return not view.control and any(mean.n < FEWEST_TESTED for mean in view.summary.means.values())


def block_notes(views: Sequence[CellView], *, counts: bool = True) -> Iterator[str]:
    """Yield notes on the cells of one backbone.

    Args:
        counts: failed and degenerate images too, where the table has no column for them.
    """
    said: dict[str, list[str]] = {}
    for view in views:
        if view.cell.note and view.cell.applicable:
            said.setdefault(view.cell.note, []).append(view.cell.method)
    for view in views:
        if view.unranked and not view.control and view.summary.n >= FEWEST_TESTED:
            said.setdefault(f"{view.unranked}: not ranked", []).append(view.cell.method)
    for note, methods in said.items():
        yield note if len(methods) == len(views) > 1 else f"{', '.join(methods)}: {note}"
    if not counts:
        return
    degenerate = {view.cell.method: view.summary.degenerate for view in views}
    failed = {view.cell.method: view.summary.failed for view in views if view.cell.applicable}
    if any(degenerate.values()):
        undefined = ", undefined where y is 0" if any(view.summary.blank for view in views) else ""
        yield f"degenerate (the map is all zero: ADCC 0{undefined}): {_each(degenerate)}"
    if any(failed.values()):
        yield f"failed: {_each(failed)}"


def _each(counts: dict[str, int]) -> str:
    """``gradcam 3, xgradcam 3``, or ``3 in every method``."""
    values = set(counts.values())
    if len(values) == 1 and len(counts) > 1:
        return f"{count(values.pop())} in every method"
    return ", ".join(f"{name} {count(n)}" for name, n in counts.items() if n)


def mean_notes(
    views: Sequence[CellView],
    metrics: Sequence[Metric],
    lacking: Mapping[tuple[int, str], Mapping[str, int]] = {},
    names: Sequence[str] = (),
) -> Iterator[str]:
    """Yield what the averages are over where that is not every row of their cell, and why.

    ``average drop and ADCC of 2 of 4 images; the others undefined: y is 0``

    Args:
        views: of one backbone.
        metrics: that the table shows.
        lacking: ``RunReader.lacking``; empty where the views are not of whole cells.
        names: of the views; their methods otherwise.
    """
    said: dict[str, list[str]] = {}
    having = [
        (view, name)
        for view, name in zip(views, names or [v.cell.method for v in views], strict=True)
        if view.summary.n
    ]
    for view, name in having:
        same: dict[str, list[str]] = {}
        for metric in metrics:
            mean = view.mean(metric.key)
            n = mean.n if mean else 0
            if n < view.summary.n:
                reason = _reason(view, metric, n, lacking.get((view.cell.id, metric.key), {}))
                images = f"{count(n) if n else 'none'} of {counted(view.summary.n, 'image')}"
                same.setdefault(f"{images}{reason}", []).append(_title(metric))
        for words, titles in same.items():
            said.setdefault(f"{_listed(titles)} of {words}", []).append(name)
    for note, of in said.items():
        yield note if len(of) == len(having) else f"{', '.join(of)}: {note}"


def _reason(view: CellView, metric: Metric, n: int, failed: Mapping[str, int]) -> str:
    if catalog.lacks_maps(view.cell.method, metric.key):
        return f": {NO_MAPS}"
    if metric.key in ("average_drop", "adcc"):
        return f"; {'the others ' if n else ''}{UNDEFINED}"
    if not failed:
        return " so far" if view.partial or n else ": not measured"
    reasons = ", ".join(f"{printable(reason)} {count(times)}" for reason, times in failed.items())
    return f": {reasons}"


def _title(metric: Metric) -> str:
    return metric.title if metric.title.isupper() else metric.title.lower()


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
