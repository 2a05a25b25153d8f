"""``camtui doctor RUN``: every check of a run's file, and its repair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from evaluator.crop import read_image
from evaluator.errors import CamtuiError, ImageUnreadable
from evaluator.store.reader import RunReader
from evaluator.store.readonly import DAMAGE
from evaluator.store.sums import stored_exponents, sums_of
from evaluator.store.writer import locked_writer
from evaluator.text import counted, printable

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
    for cell, image, metric in reader.checks.damaged_rows():
        found.append(
            f"cell {cell}, image {image}: {printable(metric) or 'the row'} is not what was written"
        )
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
        yield f"cell {cell}: the sum of {product} is not that of its rows"
    histograms = reader.averages.raw_histograms()
    wrong = {key[:2] for key in {*bins, *histograms} if bins.get(key, 0) != histograms.get(key, 0)}
    for cell, metric in sorted(wrong, key=repr):
        yield f"cell {cell}: the histogram of {printable(metric)} is not that of its rows"
    named = {cell for cell, *_ in (*wrong_sums, *wrong)}
    unfit = reader.checks.wrong_sums(_by_cell(stored.items()), _by_cell(histograms.items()))
    for cell in sorted(set(unfit) - named):
        yield f"cell {cell}: its sums and histograms do not fit their checksum"


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
