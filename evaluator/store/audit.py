"""Every check of a run's file, and its repair: ``camtui doctor RUN``, ``camtui verify RUN``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from math import prod
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from evaluator.errors import CamtuiError, ImageUnreadable
from evaluator.records import ImageRef, Precision
from evaluator.sources import read_image, source_at
from evaluator.store.reader import RunReader
from evaluator.store.readonly import DAMAGE
from evaluator.store.sums import stored_exponents, sums_of
from evaluator.store.writer import locked_writer
from evaluator.text import counted, printable

TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-4, "mixed": 1e-2, "bf16": 5e-2}
"""Largest difference of a confidence or a metric of a row between two machines: docs/protocol.md.

Where channels are weighed in bfloat16, maps round.
"""

CURVES = 3e-3
"""The same of deletion and insertion."""

_SHOWN = 20
"""Damaged records that are named one by one; of more only how many."""

_DROPPED = "damaged rows were dropped: what they held is computed again when the run goes on"
"""Message of a run that ``repair`` has taken rows from."""


def audit(reader: RunReader) -> list[str]:
    """Everything that is wrong, one line each; nothing as a rule. Reads every row."""
    problems: list[str] = []
    for part in (_pages, _schema, _unreadable, _changed, _wrong_sums):
        if part is _changed and any("is not a run's" in problem for problem in problems):
            break  # what its columns hold cannot be told
        try:
            problems += part(reader)
        except DAMAGE as error:
            problems.append(
                f"the file cannot be read to its end: {type(error).__name__}: "
                f"{printable(error, 160)}"
            )
    return problems


def _pages(reader: RunReader) -> list[str]:
    return reader.checks.integrity()


def _schema(reader: RunReader) -> list[str]:
    return reader.checks.foreign_schema()


def remark(reader: RunReader) -> str:
    """Say what the file lacks because an older camtui began it; empty as a rule."""
    if reader.checks.born_sealed():
        return ""
    return (
        f"an older camtui began {printable(reader.path)}: records without a checksum cannot be"
        " checked against it"
    )


def _unreadable(reader: RunReader) -> Iterator[str]:
    """Problems with what must be understood to read a run at all."""
    for question in (reader.info, reader.plan, reader.backbones, reader.stages):
        try:
            question()
        except CamtuiError as error:
            yield error.message
        except DAMAGE as error:
            yield f"{question.__name__}: {type(error).__name__}: {printable(error, 160)}"


def _changed(reader: RunReader) -> Iterator[str]:
    """Records that are not what was written."""
    found = [
        f"{table} {', '.join(map(printable, key))}: not what was written"
        for table, key in reader.checks.damaged_records()
    ]
    name_of = cache(reader.checks.cell_name)  # every row of a cell may be damaged
    for cell, image, metric in reader.checks.damaged_rows():
        what = printable(metric) or "the row"
        found.append(f"{name_of(cell)}, image {image}: {what} is not what was written")
    yield from found[:_SHOWN]
    if len(found) > _SHOWN:
        yield f"and {counted(len(found) - _SHOWN, 'record')} more that are not what was written"


def _wrong_sums(reader: RunReader) -> Iterator[str]:
    stored = reader.averages.raw_sums()
    sums, bins = sums_of(*reader.rows.summed(), stored_exponents(stored))
    expected = {key: (n, total) for key, (n, total) in sums.items()}
    wrong_sums = {key for key in {*expected, *stored} if expected.get(key) != stored.get(key)}
    for cell, a, b in sorted(wrong_sums, key=repr):
        product = " × ".join(map(printable, filter(None, (a, b))))
        yield f"{reader.checks.cell_name(cell)}: the sum of {product} is not that of its rows"
    histograms = reader.averages.raw_histograms()
    wrong = {key[:2] for key in {*bins, *histograms} if bins.get(key, 0) != histograms.get(key, 0)}
    for cell, metric in sorted(wrong, key=repr):
        name = reader.checks.cell_name(cell)
        yield f"{name}: the histogram of {printable(metric)} is not that of its rows"
    named = {cell for cell, *_ in (*wrong_sums, *wrong)}
    unfit = reader.checks.wrong_sums(_by_cell(stored.items()), _by_cell(histograms.items()))
    for cell in sorted(set(unfit) - named):
        yield f"{reader.checks.cell_name(cell)}: its sums and histograms do not fit their checksum"


def _by_cell(found: Iterable[tuple[tuple[Any, ...], Any]]) -> dict[int, list[tuple[Any, ...]]]:
    """Cell → what is stored of it, without the cell."""
    by_cell: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for (cell, *key), value in found:
        by_cell[cell].append((*key, *(value if isinstance(value, tuple) else (value,))))
    return by_cell


def changed_images(reader: RunReader) -> list[str]:
    """Images whose files are not those that the rows were made from.

    Reads the file of every image that has rows.
    """
    root, problems = reader.plan().folder, []
    for image in reader.images.between(0, reader.info().image_count):
        if image.content is None:
            continue
        try:
            content = sha256(read_image(root, image.path, image.size)).digest()
        except ImageUnreadable as error:
            problems.append(f"{printable(image.path)}: {error.message}")
            continue
        if content != image.content:
            problems.append(
                f"{printable(image.path)}: its bytes are not those that the run's rows were "
                "made from"
            )
    return problems


@dataclass(frozen=True)
class Located:
    """The files of a run's images in a folder of somebody else's.

    Attributes:
        files: image → path of its file.
        replaced: what is wrong: an image's path holds another file, and no file is the image.
        missing: images that are not there at all.
        by_size: images without a hash in the run, taken by path and size.
    """

    files: dict[int, bytes]
    replaced: list[str]
    missing: int
    by_size: int


def locate_images(reader: RunReader, root: Path) -> Located:
    """Find a run's images in a folder: at their paths, else anywhere in it, by their hashes.

    Reads every file that may be one.
    """
    files: dict[int, bytes] = {}
    wanted: dict[int, list[ImageRef]] = defaultdict(list)
    replaced, by_size = {}, 0
    for image in reader.images.between(0, reader.info().image_count):
        try:
            content = sha256(read_image(root, image.path)).digest()
        except ImageUnreadable:
            wanted[image.size].append(image)
            continue
        if image.content == content or image.content is None:
            files[image.id] = image.path
            by_size += image.content is None
        else:
            wanted[image.size].append(image)
            replaced[image.id] = (
                f"{printable(image.path)}: its bytes are not those that the run's rows were made "
                "from"
            )
    elsewhere = {image.content: image.id for same in wanted.values() for image in same}
    for path in _files_of_size(root, wanted) if wanted else ():
        with suppress(ImageUnreadable):
            found = elsewhere.get(sha256(read_image(root, path)).digest())
            if found is not None:
                files[found] = path
    lost = [image.id for same in wanted.values() for image in same if image.id not in files]
    wrong = [replaced[image] for image in lost if image in replaced]
    return Located(files, wrong, len(lost) - len(wrong), by_size)


def _files_of_size(root: Path, sizes: Container[int]) -> Iterator[bytes]:
    return (one.path for one in source_at(root).entries() if one.size in sizes)


class Drawn(NamedTuple):
    """Rows that were drawn at random.

    Attributes:
        pairs: (cell, image) of each, sorted.
        among: how many rows there were to draw from.
    """

    pairs: list[tuple[int, int]]
    among: int


def draw_rows(
    reader: RunReader, count: int, random: Random, cells: Container[int], images: Container[int]
) -> Drawn:
    """Draw rows of some cells and images, each with the same probability, none twice."""

    def every() -> Iterator[tuple[int, int]]:
        pairs = reader.stream("SELECT cell_id, image_id FROM results ORDER BY cell_id, image_id")
        return (pair for pair in pairs if pair[0] in cells and pair[1] in images)

    among = sum(1 for _ in every())
    places = set(random.sample(range(among), min(count, among)))
    return Drawn([pair for place, pair in enumerate(every()) if place in places], among)


def caught(forged: float, drawn: int, among: int) -> float:
    """The probability that a draw has one of the forged rows.

    Args:
        forged: their share, in [0, 1]; one row at least.
        drawn: how many rows are drawn; among: of how many.
    """
    bad = max(1, round(forged * among))
    if drawn > among - bad:
        return 1.0
    return 1 - prod((among - bad - place) / (among - place) for place in range(drawn))


def repair(path: Path) -> int:
    """Drop damaged records, and rebuild sums and histograms from the rows, under the run's lock.

    Where it is interrupted in between, sums that still count dropped rows do not fit their
    checksum: they are refused until it is done again.

    Returns:
        How many rows and measurements were dropped: they are computed again when the run goes on.

    Raises:
        TryAgain: a driver holds the run.
    """
    with locked_writer(path) as writer, RunReader(path) as reader:
        rows = list(reader.checks.damaged_rows())
        records = list(reader.checks.damaged_records())
        with writer.transaction():
            dropped = writer.repairs.drop_damaged(rows, records)
            writer.rows.sums.unseal({cell for cell, *_ in rows})
            if dropped:
                writer.set_state("stopped", _DROPPED)
        writer.rows.sums.rebuild(*reader.rows.summed())
    return dropped


def seal(path: Path) -> int:
    """Give every record of a file that an older camtui began its checksum, under the run's lock.

    Returns:
        How many rows and measurements had none.

    Raises:
        TryAgain: a driver holds the run.
    """
    with locked_writer(path) as writer:
        with writer.transaction():
            writer.rows.sums.seal_all()
        return writer.repairs.seal_all()
