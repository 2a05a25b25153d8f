"""Whether a network still answers the images of a run as it did when their rows were computed.

A network may read more than its weights: a configuration file, a library, an environment. The
driver sends some stored answers with every unit, and whoever loads the backbone compares them with
those that it gives now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf, log
from statistics import median
from typing import TYPE_CHECKING

from evaluator.records import Precision, StoredAnswer, Unit
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.interfaces import Session
    from evaluator.store.reader import RunReader

IMAGES = 8
"""Images of a backbone whose answers are compared: a forward each, when a process loads it."""

_IMAGES_AGAIN = 2
"""When it loads it again."""

_FIRST = 4
"""Of the seeded order; the others are spread over all images that have rows."""

TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-3, "mixed": 1e-3, "bf16": 1.0}
"""Largest distance of an image's answer, as ``distance`` has it.

Batch size, threads and layout move it by up to 1e-5 in float32. Rounding to bfloat16 moves it by up
to 0.3, and each kind of device rounds elsewhere.
"""

_OF_THE_MEDIAN = 0.2
"""Share of the tolerance that the median image may reach: rounding seldom moves half of them."""

_ENOUGH_FOR_A_MEDIAN = 4
_SMALLEST = 1e-12


class StoredAnswers:
    """Answers of a run's backbones as they are stored; of rows whose checksums are theirs."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._known: dict[int, tuple[StoredAnswer, ...]] = {}

    def of(self, position: int, cells: Iterable[int]) -> tuple[StoredAnswer, ...]:
        """Answers to at most ``IMAGES`` images, every cell's; asked again while there are fewer.

        Args:
            position: of the backbone in the plan; ``cells``: all of it.
        """
        known = self._known.get(position, ())
        if len({answer.image.id for answer in known}) < IMAGES:
            known = self._known[position] = self._find(sorted(cells))
        return known

    def _find(self, cells: Sequence[int]) -> tuple[StoredAnswer, ...]:
        last = self._reader.rows.last_image(cells)
        if last is None:
            return ()
        spread = {place * last // (2 * IMAGES) for place in range(2 * IMAGES + 1)}
        rows = self._reader.rows.sound(cells, sorted({*range(min(_FIRST, last + 1)), *spread}))
        having = sorted({row.image for row in rows})
        rest = having[_FIRST:]
        more = min(len(rest), IMAGES - _FIRST)
        chosen = {*having[:_FIRST], *(rest[-1 - k * (len(rest) - 1) // more] for k in range(more))}
        answers = {(row.image, row.target, row.predicted, row.y) for row in rows}
        images = {image: self._reader.images.get(image) for image in chosen}
        return tuple(
            StoredAnswer(images[image], target, predicted, y)
            for image, target, predicted, y in sorted(answers)
            if image in chosen
        )


class AnswerComparison:
    """Compares the answers of a process's networks with the stored ones, once after each load.

    Args:
        precision: of the plan.
    """

    def __init__(self, precision: Precision) -> None:
        self._precision = precision
        self._compared: set[int] = set()
        self._due = False

    def compare(self, unit: Unit, session: Session, *, loaded: bool) -> str:
        """How the loaded backbone answers otherwise than stored, in words.

        It is asked once it is loaded; again with each unit while none of the images can be read. A
        backbone that this process loads again is shown fewer images: it does so in every round of a
        run of several backbones.

        Args:
            unit: whose answers are compared.
            session: of the process.
            loaded: the backbone has just been loaded.

        Returns:
            Empty where the answers agree, or no image can be compared: a file that is missing or
            has changed says nothing of the network.
        """
        self._due = bool(unit.answers) and (loaded or self._due)
        if not self._due:
            return ""
        most = _IMAGES_AGAIN if unit.backbone in self._compared else IMAGES
        images = {answer.image.id: answer.image for answer in unit.answers}
        confidences = session.confidences(list(images.values())[:most])
        if confidences:
            self._compared.add(unit.backbone)
            self._due = False
        return disagreement(unit.answers, confidences, self._precision)


def disagreement(
    answers: Sequence[StoredAnswer],
    confidences: Mapping[int, Sequence[float]],
    precision: Precision,
) -> str:
    """The image whose answer differs most, with both values; empty within the tolerance.

    Args:
        answers: as stored.
        confidences: of every class, now, by image id; images without are not compared.
    """
    found = [
        (_difference(answer, confidences[answer.image.id]), place)
        for place, answer in enumerate(answers)
        if answer.image.id in confidences
    ]
    if not found:
        return ""
    by_image: dict[int, float] = {}
    for far, place in found:
        image = answers[place].image.id
        by_image[image] = max(far, by_image.get(image, 0.0))
    tolerance = TOLERANCE[precision]
    beyond = sum(far > tolerance for far in by_image.values())
    usual = median(by_image.values()) if len(by_image) >= _ENOUGH_FOR_A_MEDIAN else 0.0
    if not beyond and usual <= _OF_THE_MEDIAN * tolerance:
        return ""
    worst = answers[max(found)[1]]
    others = sum(far > _OF_THE_MEDIAN * tolerance for far in by_image.values()) - 1
    more = f"; so do {others} of {len(by_image) - 1} other images" if others > 0 else ""
    return f"{_words(worst, confidences[worst.image.id])}{more}"


def _difference(answer: StoredAnswer, now: Sequence[float]) -> float:
    """The distance of the confidence in the target, or of the prediction from the highest one."""
    if max(answer.target, answer.predicted) >= len(now):
        return inf
    return max(distance(now[answer.target], answer.y), distance(now[answer.predicted], max(now)))


def distance(now: float, stored: float) -> float:
    """The distance of two confidences: of their log-odds, relative where these are above 1.

    It is about that of the logits, and so as large for a confidence near 0 or 1 as for one between.
    """
    if now != now:  # not a number
        return inf
    here, there = _log_odds(now), _log_odds(stored)
    return abs(here - there) / max(1.0, abs(there))


def _log_odds(confidence: float) -> float:
    inside = min(max(confidence, _SMALLEST), 1 - _SMALLEST)
    return log(inside) - log(1 - inside)


def _words(answer: StoredAnswer, now: Sequence[float]) -> str:
    image = f"image {answer.image.id} ({printable(answer.image.path, 60)})"
    predicted = max(range(len(now)), key=now.__getitem__)
    if answer.target >= len(now):
        return f"{image}: class {answer.target} in the run, only {len(now)} classes now"
    of_target = (
        f"y of class {answer.target} is {answer.y:.6g} in the run, {now[answer.target]:.6g} now"
    )
    if predicted == answer.predicted:
        return f"{image}: {of_target}"
    return f"{image}: {of_target}; class {answer.predicted} was predicted, {predicted} is now"
