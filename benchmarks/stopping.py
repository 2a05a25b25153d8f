"""How often ``--until`` is wrong, and how many images it takes.

Thousands of runs drawn from the rows of one that is stored.

python benchmarks/stopping.py RUN.db                  # 2 000 runs of at most 2 000 images, drawn
with replacement from its images

The truth is the ADCC over all stored images. Every run is looked at after each image from the
burn-in on, by the confidence sequences of camtui and, for contrast, by the intervals and tests for
a fixed number of images (the 95 % interval of every table), with the same Holm procedure. All runs
are computed side by side, image by image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine_line, write_json
from numpy.typing import NDArray

from evaluator import catalog
from evaluator.sequential import half_width, holm, p_value, rule_rho
from evaluator.statistics import Z95
from evaluator.stopping_rule import ALPHA, BURN_IN, Rule, rule_of
from evaluator.store.reader import RunReader

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
PValue = Callable[[int, Floats, Floats], Floats]
"""(n, distance, standard deviation) → p."""

Width = Callable[[int, Floats], Floats]
"""(n, standard deviation) → half of the interval."""

_RESOLUTION = 2.0**-38


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run's file")
    parser.add_argument("--backbone", default="", help="default: the first")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--images", type=int, default=2000, help="at most, of each run")
    parser.add_argument("--margin", type=float, default=0.5, help="points")
    parser.add_argument("--ci", type=float, default=1.0, help="points")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(machine_line())
    with RunReader(options.run) as reader:
        methods, values = stored_components(reader, options.backbone)
    print(
        f"{len(values)} stored images, {', '.join(methods)}; {options.runs} runs of at most "
        f"{options.images} images"
    )
    results = simulate(
        values, options.runs, options.images, margin=options.margin, width=options.ci
    )
    for line in lines(results):
        print(line)
    write_json(options, [vars(result) for result in results])


def stored_components(reader: RunReader, backbone: str = "") -> tuple[list[str], Floats]:
    """The ranked methods of a backbone that are no copies of each other, and their components.

    Images, methods, 3.
    """
    wanted = backbone or next(iter(reader.backbones()))
    cells = [
        cell
        for cell in reader.cells()
        if cell.backbone == wanted
        and cell.applicable
        and not cell.note
        and not catalog.is_control(cell.method)
    ]
    found = reader.rows.components([cell.id for cell in cells], 0, reader.info().image_count)
    values = np.full((reader.info().image_count, len(cells), 3), np.nan)
    place = {cell.id: number for number, cell in enumerate(cells)}
    for cell_id, image, *parts in found:
        values[image, place[cell_id]] = [np.nan if part is None else part for part in parts]
    return [cell.method for cell in cells], values[np.isfinite(values).all(axis=(1, 2))]


@dataclass(frozen=True)
class Moments:
    """What so many runs know after n images.

    Sums of components and of their products, runs × 3K and runs × 3K × 3K.
    """

    n: int
    sums: Floats
    products: Floats

    def estimates(self) -> tuple[Floats, Floats]:
        """ADCC (runs, K) and the covariance of the influence values (runs, K, K)."""
        runs, width = self.sums.shape
        means = self.sums / self.n
        covariance = (
            (self.products / self.n - means[:, :, None] * means[:, None, :]) * self.n / (self.n - 1)
        )
        parts = means.reshape(runs, width // 3, 3) * [-1, 1, -1] + [1, 0, 1]
        adcc = 3 / (1 / parts).sum(-1)
        slopes = (adcc[..., None] ** 2 / 3 / parts**2) * [-1, 1, -1]
        blocks = covariance.reshape(runs, width // 3, 3, width // 3, 3)
        return adcc, np.einsum("rai,raibj,rbj->rab", slopes, blocks, slopes, optimize=True)


def truth(values: Floats) -> Floats:
    """ADCC of every method over all stored images."""
    parts = values.mean(0) * [-1, 1, -1] + [1, 0, 1]
    result: Floats = 3 / (1 / parts).sum(-1)
    return result


@dataclass
class Races:
    """Many races of the same methods, side by side.

    One of them is an ``evaluator.sequential.Race``.

    Attributes:
        images: at which each run was decided, 0 where it has not been.
        out: who has left the race; ``wrong``: whether a run has made a false claim.
    """

    real: Floats
    margin: float
    p: PValue
    runs: int
    images: NDArray[np.int64] = field(init=False)
    wrong: Flags = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.real)
        self._pairs = list(combinations(range(count), 2))
        self._first, self._second = np.array(self._pairs).T
        self._equal = np.zeros((self.runs, len(self._pairs)), dtype=bool)
        self.out = np.zeros((self.runs, count), dtype=bool)
        self.images = np.zeros(self.runs, dtype=np.int64)
        self.wrong = np.zeros(self.runs, dtype=bool)

    def look(self, n: int, adcc: Floats, covariance: Floats) -> None:
        """After n images; runs that are decided stay as they are."""
        going = self.images == 0
        first, second = self._first, self._second
        difference = adcc[:, first] - adcc[:, second]
        variance = (
            covariance[:, first, first]
            + covariance[:, second, second]
            - 2 * covariance[:, first, second]
        )
        sd = np.sqrt(np.where(variance > _RESOLUTION, variance, 0.0))
        apart = self.p(n, np.abs(difference), sd)
        alike = self.p(n, self.margin - np.abs(difference), sd)
        tested = ~(self._equal | self.out[:, first] | self.out[:, second])
        family = np.maximum(1, len(self._pairs) - self._equal.sum(-1) - self.out.sum(-1))
        falls = (
            holm(np.where(tested, np.minimum(apart, alike), np.inf), family, ALPHA)
            & tested
            & going[:, None]
        )
        best = np.where(self.out, -1.0, adcc).argmax(-1)
        equal = falls & (apart > alike)
        with_best = (first == best[:, None]) | (second == best[:, None])
        separated = falls & ~equal & with_best
        real = self.real[first] - self.real[second]
        self.wrong |= (equal & (np.abs(real) >= self.margin)).any(-1)
        self.wrong |= (separated & (np.sign(real) != np.sign(difference))).any(-1)
        self._equal |= equal
        loser = np.where(difference > 0, second, first)
        for run, pair in zip(*np.nonzero(separated), strict=True):
            self.out[run, loser[run, pair]] = True
        settled = self._equal | self.out[:, first] | self.out[:, second]
        self.images[going & (settled | ~with_best).all(-1)] = n


@dataclass(frozen=True)
class Result:
    """One question, answered by one kind of interval, over all runs.

    Attributes:
        wrong: share of runs with a false decision or, for a width, with an interval that misses at
        the end. coverage: of the interval at the end: of the difference between the best two, or of
        every method's ADCC. median, late: images, the median and the 90th percentile;
        ``unfinished``: share of runs not decided by the last image.
    """

    question: str
    interval: str
    wrong: float
    coverage: float
    median: float
    late: float
    unfinished: float


def simulate(
    values: Floats, runs: int, images: int, *, margin: float, width: float, seed: int = 0
) -> list[Result]:
    """Every question by both kinds of interval."""
    decided, ci = rule_of("decided", margin, False), rule_of(f"ci<={width}", None, False)
    assert decided is not None
    assert ci is not None
    results = []
    for shuffled, words in ((False, "stored methods"), (True, "methods that are all equal")):
        results += _decisions(
            values, decided, words, shuffled=shuffled, runs=runs, images=images, seed=seed
        )
    return [*results, *_widths(values, ci, runs=runs, images=images, seed=seed)]


def draws(values: Floats, runs: int, images: int, *, shuffled: bool, seed: int) -> Any:
    """``Moments`` after each image; ``shuffled``.

    Who is which method is drawn anew for every image, so that all are equal.
    """
    chance = np.random.default_rng(seed)
    count = values.shape[1]
    sums, products = np.zeros((runs, 3 * count)), np.zeros((runs, 3 * count, 3 * count))
    for n in range(1, images + 1):
        drawn = values[chance.integers(len(values), size=runs)]
        if shuffled:
            drawn = np.take_along_axis(
                drawn, chance.permuted(np.tile(np.arange(count), (runs, 1)), axis=1)[..., None], 1
            )
        flat = drawn.reshape(runs, -1)
        sums += flat
        products += flat[:, :, None] * flat[:, None, :]
        yield Moments(n, sums, products)


def _decisions(
    values: Floats, rule: Rule, words: str, *, shuffled: bool, runs: int, images: int, seed: int
) -> list[Result]:
    count = values.shape[1]
    real = np.full(count, truth(values.mean(1, keepdims=True))[0]) if shuffled else truth(values)
    rho = rule_rho(rule, count * (count - 1) // 2)
    kinds = {
        "sequence": Races(real, rule.margin, lambda n, d, sd: p_value(n, d, sd, rho), runs),
        "fixed n": Races(real, rule.margin, fixed_p, runs),
    }
    widths = both_widths(rho)
    covered = {name: np.zeros(runs, dtype=bool) for name in kinds}
    for moments in draws(values, runs, images, shuffled=shuffled, seed=seed):
        if moments.n < BURN_IN:
            continue
        adcc, covariance = moments.estimates()
        for name, races in kinds.items():
            races.look(moments.n, adcc, covariance)
            now = (
                races.images == moments.n
                if moments.n < images
                else (races.images == moments.n) | (races.images == 0)
            )
            covered[name][now] = _covered(adcc, covariance, real, partial(widths[name], moments.n))[
                now
            ]
        if all((races.images > 0).all() for races in kinds.values()):
            break
    question = f"best of {count} {words}, margin {100 * rule.margin:g}"
    return [
        _result(question, name, races.wrong, covered[name], races.images, images)
        for name, races in kinds.items()
    ]


def both_widths(rho: float) -> dict[str, Width]:
    """Half of the 95 % interval by both kinds."""

    def fixed(n: int, sd: Floats) -> Floats:
        result: Floats = Z95 * sd / sqrt(n)
        return result

    return {"sequence": lambda n, sd: half_width(n, sd, ALPHA, rho), "fixed n": fixed}


def _covered(
    adcc: Floats, covariance: Floats, real: Floats, width: Callable[[Floats], Floats]
) -> Flags:
    """Whether the interval of the difference between the best two holds the truth."""
    order = np.argsort(-adcc, axis=-1)
    first, second, run = order[:, 0], order[:, 1], np.arange(len(adcc))
    variance = (
        covariance[run, first, first]
        + covariance[run, second, second]
        - 2 * covariance[run, first, second]
    )
    found = adcc[run, first] - adcc[run, second]
    result: Flags = (
        np.abs(found - (real[first] - real[second]))
        <= width(np.sqrt(np.maximum(variance, 0))) + 1e-12
    )
    return result


def _widths(values: Floats, rule: Rule, *, runs: int, images: int, seed: int) -> list[Result]:
    count, real = values.shape[1], truth(values)
    rho = rule_rho(rule, 1)
    widths = both_widths(rho)
    stopped = {name: np.zeros(runs, dtype=np.int64) for name in widths}
    missed = {name: np.zeros((runs, count), dtype=bool) for name in widths}
    ever = {name: np.zeros((runs, count), dtype=bool) for name in widths}
    for moments in draws(values, runs, images, shuffled=False, seed=seed):
        if moments.n < BURN_IN:
            continue
        adcc, covariance = moments.estimates()
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        error = np.abs(adcc - real)
        for name, width in widths.items():
            half = width(moments.n, sd)
            ever[name] |= error > half
            now = (stopped[name] == 0) & ((half <= rule.width).all(-1) | (moments.n == images))
            missed[name][now] = (error > half)[now]
            stopped[name][now & (half <= rule.width).all(-1)] = moments.n
    question = f"every method ± {100 * rule.width:g}"
    for name in widths:
        print(
            f"  {name}: a method's interval misses at some n from {BURN_IN} to {images} in "
            f"{ever[name].mean():.1%} of runs"
        )
    return [
        _result(question, name, missed[name].any(-1), ~missed[name], stopped[name], images)
        for name in widths
    ]


def fixed_p(n: int, distance: Floats, sd: Floats) -> Floats:
    """The two-sided normal test for a number of images that was fixed before."""
    z = np.maximum(distance, 0) * sqrt(n / 2) / np.where(sd > 0, sd, 1.0)
    p = np.where(sd > 0, torch.erfc(torch.from_numpy(z)).numpy(), 0.0)
    result: Floats = np.where(distance > 0, p, 1.0)
    return result


def _result(
    question: str, interval: str, wrong: Any, covered: Flags, images: NDArray[np.int64], last: int
) -> Result:
    taken = np.where(images == 0, last, images)
    median, late = float(np.median(taken)), float(np.quantile(taken, 0.9))
    return Result(
        question,
        interval,
        float(wrong.mean()),
        float(covered.mean()),
        median,
        late,
        float((images == 0).mean()),
    )


def lines(results: list[Result]) -> list[str]:
    """The table of the documentation."""
    head = [
        "| question | interval | false | coverage at the end | images, median (90 %) | not "
        "decided |",
        "|---|---|---|---|---|---|",
    ]
    return head + [
        f"| {r.question} | {r.interval} | {r.wrong:.1%} | {r.coverage:.1%} | {r.median:.0f} "
        f"({r.late:.0f}) | {r.unfinished:.1%} |"
        for r in results
    ]


if __name__ == "__main__":
    main()
