"""Tables of how metrics judge: agreement with truth, controls, sensitivity, stability."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from camtui.format.notes import run_title
from camtui.format.numbers import ABSENT, count, metric_header, percent, signed_percent
from camtui.format.table import Block, Entry, Table, TableColumn, TableRow
from camtui.judging import CHANCE
from evaluator import catalog
from evaluator.text import counted

if TYPE_CHECKING:
    from camtui.judging import Against, Estimate, Judgement, NullControl, Sensitivity
    from evaluator.store.reader import RunReader

_METRIC = TableColumn("metric", "metric", "Metric", numeric=False)


def judged_tables(reader: RunReader, judged: Sequence[Judgement], digits: int = 2) -> list[Table]:
    """Return four tables, those without rows left out; metrics by their agreement with truth.

    Args:
        digits: behind the point, of a τ and of percents.
    """
    builders = (_agreement, _controls, _sensitivity, _stability)
    tables = [build(f"{run_title(reader)} · ", judged, digits) for build in builders]
    return [table for table in tables if any(block.rows for block in table.blocks)]


def verdicts(judged: Sequence[Judgement]) -> list[str]:
    """Return for each network a sentence on each question that the run answers.

    A metric notices where its interval is above chance, and above what is noticed of fixed maps.
    """
    return [
        f"{f'{one.backbone}: ' if len(judged) > 1 else ''}{sentence}"
        for one in judged
        for sentence in _verdicts(one)
    ]


def _verdicts(one: Judgement) -> Iterator[str]:
    truths = dict.fromkeys(found.truth for found in one.agreement)
    for truth in truths:
        taus = {
            found.metric: found.per_image
            for found in one.agreement
            if found.truth == truth and found.metric not in truths
        }
        yield from _most(f"The methods' order as in {_title(truth)}", "", taus)
    if one.control_wins:
        judged = dict.fromkeys(won.metric for won in one.control_wins)
        lost = {won.metric for won in one.control_wins if won.on_average}
        yield (
            "A control above every method, on average? "
            f"{_passed('Not in', [key for key in judged if key not in lost], len(judged))}"
        )
    for kind in dict.fromkeys(found.against for found in one.sensitivity):
        known = [found for found in one.sensitivity if found.against == kind]
        nulls = dict.fromkeys(null.control for found in known for null in found.null_controls)
        beyond = f", more often than with {' and '.join(map(_method, nulls))}" if nulls else ""
        seen = [found.metric for found in known if _is_noticed(found)]
        yield f"{kind.capitalize()} noticed{beyond}? {_passed('In', seen, len(known))}"
    if one.stability:
        size = max(found.images for found in one.stability)
        halves = {found.metric: found.tau for found in one.stability if found.images == size}
        yield from _most("Two halves alike", f", {count(size)} images each", halves)


def _most(question: str, behind: str, taus: dict[str, Estimate]) -> Iterator[str]:
    known = sorted((tau.value, metric) for metric, tau in taus.items() if tau.value is not None)
    if known:
        (low, last), (high, first) = known[0], known[-1]
        least = f"; {_title(last)} least, {low:.2f}" if f"{low:.2f}" != f"{high:.2f}" else ""
        yield f"{question}{behind}? {_title(first)} most, τ {high:.2f} of 1{least}."


def _passed(where: str, metrics: Sequence[str], of: int) -> str:
    names = ", ".join(map(_title, metrics))
    return f"{where} {len(metrics)} of {counted(of, 'metric')}{': ' if names else ''}{names}."


def _is_noticed(found: Sensitivity) -> bool:
    noticed = found.noticed.low is not None and found.noticed.low > found.chance
    return noticed and not _is_of_confidence(found)


def _is_of_confidence(found: Sensitivity) -> bool:
    """Return whether a fixed map, the same on both networks, is noticed as often."""
    return any((null.excess.low or 0) <= 0 for null in found.null_controls)


def verdict_table(reader: RunReader, judged: Sequence[Judgement], digits: int = 2) -> Table:
    """Return one table for a screen of 80 characters: a column for each question, no intervals."""
    truths = list(dict.fromkeys(found.truth for one in judged for found in one.agreement))
    kinds = list(dict.fromkeys(found.against for one in judged for found in one.sensitivity))
    short = {"random weights": "random"}
    names = [f"τ {truth.partition('_')[0]}" for truth in truths]
    names += ["control"] if any(one.control_wins for one in judged) else []
    names += [short.get(kind, kind) for kind in kinds]
    names += ["halves"] if any(one.stability for one in judged) else []
    columns = (_METRIC, *(TableColumn(name, name, name) for name in names))
    blocks = []
    for one in judged:
        rows = []
        for metric in by_agreement(one):
            values: dict[str, str] = {}
            for found in (found for found in one.agreement if found.metric == metric):
                name = f"τ {found.truth.partition('_')[0]}"
                values[name] = _tau(found.per_image, digits).text
            wins = [won for won in one.control_wins if won.metric == metric]
            if wins:
                most = max(wins, key=lambda won: won.share.value or 0)
                sign = "! " if any(won.on_average for won in wins) else ""
                values["control"] = f"{sign}{_share(most.share, digits).text}"
            for seen in (seen for seen in one.sensitivity if seen.metric == metric):
                sign = "= " if _is_of_confidence(seen) else ""
                name = short.get(seen.against, seen.against)
                values[name] = f"{sign}{_share(seen.noticed, digits).text}"
            sizes = {half.images: half.tau for half in one.stability if half.metric == metric}
            if sizes:
                values["halves"] = _tau(sizes[max(sizes)], digits).text
            entries = [Entry(values.get(name, ABSENT)) for name in names]
            rows.append(TableRow((Entry(_name(metric)), *entries)))
        blocks.append(Block(one.backbone, tuple(rows), tuple(_ranked_notes(one))))
    said = {
        "control": "control: percent of images on which a control, the one that wins most, is "
        "above every method; !: so is its average",
        "wrong class": "wrong class: percent of images on which its map is rated lower; 50 is "
        "chance",
        "random": "random: the same for the map of a network with random weights; =: no more often "
        "than for a fixed map",
        "halves": "halves: τ between two halves of the images",
    }
    notes = (
        f"{', '.join(names[: len(truths)])}: Kendall's τ-b with the order by "
        f"{' and '.join(map(_title, truths))}, mean over images",
        *(note for name, note in said.items() if name in names),
        "--wide: 95 % intervals, each control, each size of the halves",
    )
    return Table(f"{run_title(reader)} · how the metrics judge", columns, tuple(blocks), notes)


def _agreement(title: str, judged: Sequence[Judgement], digits: int) -> Table:
    truths = list(dict.fromkeys(found.truth for one in judged for found in one.agreement))
    columns = [_METRIC]
    for truth in truths:
        name = catalog.metric(truth)
        columns.append(TableColumn(f"{truth} images", name.title, f"τ with {name.title}"))
        columns.append(
            TableColumn(
                f"{truth} averages",
                f"{name.title}, averages",
                f"τ with {name.title}, of averages",
            )
        )
    columns.append(TableColumn("n", "n", "n"))
    blocks = []
    for one in judged:
        known = {(found.metric, found.truth): found for found in one.agreement}
        rows = []
        for metric in by_agreement(one):
            found = [known.get((metric, truth)) for truth in truths]
            entries = [
                entry
                for pair in found
                for entry in (
                    (_tau(pair.per_image, digits), _tau(pair.of_averages, digits))
                    if pair
                    else (Entry(ABSENT), Entry(ABSENT))
                )
            ]
            n = max((pair.per_image.n for pair in found if pair), default=0)
            rows.append(TableRow((Entry(_name(metric)), *entries, Entry(count(n)))))
        blocks.append(Block(one.backbone, tuple(rows), tuple(_ranked_notes(one))))
    notes = (
        "Kendall's τ-b between the metric's order of the methods and that of the truth, 1 the "
        "same, −1 the reverse: the mean over images, and of the averages",
        "[ ]: 95 % intervals by bootstrap over images",
    )
    return Table(f"{title}agreement with truth", tuple(columns), tuple(blocks), notes)


def _controls(title: str, judged: Sequence[Judgement], digits: int) -> Table:
    controls = list(dict.fromkeys(control for one in judged for control in one.controls))
    columns = (
        _METRIC,
        *(TableColumn(control, control, _method(control)) for control in controls),
        TableColumn("chance", "chance", "Chance"),
    )
    blocks = []
    for one in judged:
        known = {(won.metric, won.control): won for won in one.control_wins}
        rows = []
        for metric in by_agreement(one) if one.controls else ():
            entries = []
            for control in controls:
                won = known.get((metric, control))
                sign = " !" if won is not None and won.on_average else ""
                entries.append(Entry(ABSENT) if won is None else _share(won.share, digits, sign))
            chance = next((won.chance for won in one.control_wins if won.metric == metric), None)
            entries.append(Entry(percent(chance, max(0, digits - 1))))
            rows.append(TableRow((Entry(_name(metric)), *entries)))
        blocks.append(Block(one.backbone, tuple(rows)))
    notes = (
        "share of the images, in percent, on which the metric puts the control above every method",
        "!: so does its average; chance: one in as many as the methods and the control are",
    )
    return Table(f"{title}controls", columns, tuple(blocks), notes)


def _sensitivity(title: str, judged: Sequence[Judgement], digits: int) -> Table:
    kinds = list(dict.fromkeys(found.against for one in judged for found in one.sensitivity))
    controls = {
        kind: list(
            dict.fromkeys(
                null.control
                for one in judged
                for found in one.sensitivity
                if found.against == kind
                for null in found.null_controls
            )
        )
        for kind in kinds
    }
    columns = [_METRIC]
    for kind in kinds:
        columns += [
            TableColumn(f"{kind} seen", kind, f"{kind.capitalize()}: noticed"),
            TableColumn(f"{kind} fall", f"{kind}: fall", f"{kind.capitalize()}: fall"),
        ]
        for control in controls[kind]:
            name = _method(control)
            columns += [
                TableColumn(f"{kind} {control} seen", name, f"{name}: noticed"),
                TableColumn(f"{kind} {control} fall", f"{name}: fall", f"{name}: fall"),
                TableColumn(f"{kind} {control} excess", f"{name}: excess", f"{name}: excess"),
            ]
    columns.append(TableColumn("chance", "chance", "Chance: noticed"))
    blocks = []
    for one in judged:
        known = {(found.metric, found.against): found for found in one.sensitivity}
        rows = []
        for metric in by_agreement(one) if one.sensitivity else ():
            entries: list[Entry] = []
            for kind in kinds:
                found = known.get((metric, kind))
                nulls = {null.control: null for null in found.null_controls} if found else {}
                entries += _noticed(found, digits)
                for control in controls[kind]:
                    entries += _noticed(nulls.get(control), digits)
                    entries.append(_excess(nulls.get(control), digits))
            entries.append(Entry(percent(CHANCE, max(0, digits - 1))))
            rows.append(TableRow((Entry(_name(metric)), *entries)))
        blocks.append(Block(one.backbone, tuple(rows), tuple(_altered_notes(one))))
    notes = (
        "how often, in percent, the metric rates an image's map below the right one if it is "
        "for the wrong class, or of a network"
        " with random weights; 50 is chance; ties count half",
        "fall: by how many points the average gets worse, the mean over the methods; below 0 "
        "it gets better",
        *_null_notes(controls),
    )
    return Table(f"{title}wrong class and random weights", tuple(columns), tuple(blocks), notes)


def _noticed(found: Sensitivity | NullControl | None, digits: int) -> list[Entry]:
    if found is None:
        return [Entry(ABSENT), Entry(ABSENT)]
    fall = _shown(found.fall, lambda value: signed_percent(value, digits))
    return [_share(found.noticed, digits), fall]


def _excess(null: NullControl | None, digits: int) -> Entry:
    if null is None:
        return Entry(ABSENT)
    return _shown(null.excess, lambda value: signed_percent(value, max(0, digits - 1)))


def _null_notes(controls: dict[Against, list[str]]) -> list[str]:
    """Return what tells the maps from the networks where the weights are random."""
    if "random weights" not in controls:
        return []
    if not controls["random weights"]:
        return [
            "no null control: camtui run … -m centre,fakecam on both networks adds maps that are "
            "the same on both, of which only the networks' confidence is noticed"
        ]
    names = " and ".join(catalog.method(one).title for one in controls["random weights"])
    return [
        f"null control: {names} are the same map on both networks: what is noticed of them is the "
        "networks' confidence; excess: by how many percent more the methods' maps are noticed"
    ]


def _stability(title: str, judged: Sequence[Judgement], digits: int) -> Table:
    sizes = sorted({found.images for one in judged for found in one.stability})
    columns = (
        _METRIC,
        *(TableColumn(str(size), count(size), f"{count(size)} images") for size in sizes),
    )
    blocks = []
    for one in judged:
        known = {(found.metric, found.images): found.tau for found in one.stability}
        rows = [
            TableRow(
                (
                    Entry(_name(metric)),
                    *(
                        _tau(tau, digits) if (tau := known.get((metric, size))) else Entry(ABSENT)
                        for size in sizes
                    ),
                )
            )
            for metric in (by_agreement(one) if one.stability else ())
        ]
        blocks.append(Block(one.backbone, tuple(rows)))
    notes = (
        "τ-b between the orders of the averages on two disjoint random sets of so many images; "
        "[ ]: 95 % of 200 pairs of sets",
    )
    return Table(f"{title}stability", columns, tuple(blocks), notes)


def by_agreement(one: Judgement) -> list[str]:
    """Return the metrics of a judgement: measures of truth, then others by agreement."""
    truths = list(dict.fromkeys(found.truth for found in one.agreement))
    first = {
        found.metric: found.per_image.value or 0.0
        for found in one.agreement
        if found.truth == truths[0]
    }
    others = sorted(
        (metric for metric in first if metric not in truths), key=lambda metric: -first[metric]
    )
    return [*truths, *others]


def _ranked_notes(one: Judgement) -> list[str]:
    notes = [f"{len(one.methods)} methods in order: {', '.join(one.methods)}"]
    if one.twins:
        notes.append(
            "equal maps count once: "
            f"{', '.join(f'{twin} = {other}' for twin, other in one.twins.items())}"
        )
    return notes + [
        f"{_name(metric)} is judged without {', '.join(methods)}"
        for metric, methods in one.lacking.items()
    ]


def _altered_notes(one: Judgement) -> list[str]:
    """Return for each kind of altered map the methods that have it in some metric."""
    methods: dict[str, dict[str, None]] = {}
    for found in one.sensitivity:
        methods.setdefault(found.against, {}).update(dict.fromkeys(found.methods))
    return [f"{against}: {', '.join(names)}" for against, names in methods.items()]


def _name(metric: str) -> str:
    return metric_header(catalog.metric(metric), long=True)


def _title(metric: str) -> str:
    return catalog.metric(metric).title


def _method(spec: str) -> str:
    return catalog.method(spec).title


def _tau(estimate: Estimate, digits: int) -> Entry:
    return _shown(estimate, lambda value: f"{value:.{digits}f}")


def _share(estimate: Estimate, digits: int, sign: str = "") -> Entry:
    entry = _shown(estimate, lambda value: percent(value, max(0, digits - 1)))
    return Entry(entry.text, f"{entry.interval}{sign}".strip())


def _shown(estimate: Estimate, words: Callable[[float], str]) -> Entry:
    """``0.62 [0.58, 0.66]``."""
    if estimate.value is None:
        return Entry(ABSENT)
    if estimate.low is None or estimate.high is None:
        return Entry(words(estimate.value))
    return Entry(words(estimate.value), f"[{words(estimate.low)}, {words(estimate.high)}]")
