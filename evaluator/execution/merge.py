"""One run out of several that measured the same: ``camtui merge A B … -o C``.

The plan of the merged run has the networks, methods and metrics of all; its images are the first in
the seeded order that all of one data set have. Rows come over with their checksums made anew, sums
are those of the rows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluator.errors import Mismatch, StoreError, TryAgain, UsageError
from evaluator.execution.registration import describe_cells
from evaluator.execution.stages import plan_stages
from evaluator.images import Manifest
from evaluator.plan import RunPlan, extended
from evaluator.records import Failure, ImageRef, Measurement, Precision, Row, UnitResult
from evaluator.store.audit import CURVES, TOLERANCE, audit
from evaluator.store.files import (
    RunLock,
    copy_database,
    lock_holder,
    refuse_network,
    temporary_beside,
)
from evaluator.store.reader import RunReader
from evaluator.store.schema import MEASUREMENT_COLUMNS, ROW_COLUMNS, row_of
from evaluator.store.writer import RunWriter
from evaluator.text import printable

_ASIDE = "runs of one protocol are merged; camtui compare shows others side by side"

_AT_ONCE = 500
"""Images of one transaction."""


def merge_runs(readers: Sequence[RunReader], target: Path, name: str) -> None:
    """Write a run with everything that some runs have; it opens, goes on and grows as any.

    Args:
        readers: of the runs, two or more; where a value is in several, they must have the same.
        target: of the new file; it appears whole or not at all.
        name: of the run.

    Raises:
        UsageError: there is something of that name.
        Mismatch: the runs have other protocols, images, networks or methods, or rows that disagree;
            the message names the runs and what differs.
        TryAgain: one of them is running.
        StoreError: a record of one is not what was written.
    """
    if os.path.lexists(target):
        raise UsageError(f"{printable(target)} exists", "choose another place: -o FILE")
    refuse_network(target)
    for reader in readers:
        if lock_holder(reader.path) is not None:
            name_of = printable(reader.path.stem)
            raise TryAgain(f"{name_of} is running", f"camtui stop {name_of}")
        if problems := audit(reader):
            path = printable(reader.path)
            raise StoreError(f"{path}: {problems[0]}", f"camtui doctor {path} --repair")
    plan = _merged_plan(readers)
    manifest = _merged_images(readers, plan)
    temporary = temporary_beside(target)
    lock = RunLock(temporary)
    try:
        with closing(RunWriter(temporary)) as writer:
            _fill(writer, readers, plan, manifest, name)
            copy_database(writer.connection, target)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            temporary.with_name(temporary.name + ending).unlink(missing_ok=True)
        lock.release(remove=True)


def _names(first: RunReader, other: RunReader) -> str:
    return f"{printable(first.path.name)} and {printable(other.path.name)}"


def _merged_plan(readers: Sequence[RunReader]) -> RunPlan:
    first, *others = readers
    plan = first.plan()
    for other in others:
        specs = {spec.name: spec for spec in plan.backbones}  # files move: their hashes decide
        asked = other.plan()
        asked = replace(
            asked, backbones=tuple(specs.get(spec.name, spec) for spec in asked.backbones)
        )
        for field in ("until", "margin", "drop_decided", "demo"):
            if getattr(plan, field) != getattr(asked, field):
                raise Mismatch(
                    f"{_names(first, other)} have another {field}: {getattr(plan, field)} and "
                    f"{getattr(asked, field)}",
                    _ASIDE,
                )
        try:
            merged = extended(plan, asked)
        except Mismatch as error:
            words = error.message.removeprefix("the stored run has another protocol ")
            raise Mismatch(
                f"{_names(first, other)} have another protocol {words}",
                _ASIDE,
            ) from error
        truth = plan.truth or asked.truth
        plan = replace(merged, data=plan.data, labels=plan.labels or asked.labels, truth=truth)
    return plan


def _merged_images(readers: Sequence[RunReader], plan: RunPlan) -> Manifest:
    """The images of all runs, which are the first ones of one data set in one order.

    Raises:
        Mismatch: they are not, or an image has two contents or labels.
    """
    first = readers[0]
    known: dict[int, ImageRef] = {}
    for reader in readers:
        if reader.manifest_sha256() != first.manifest_sha256():
            raise Mismatch(
                f"{_names(first, reader)} are of other images: the data sets differ",
                "merge runs that were started on the same folder",
            )
        for image in reader.images.between(0, reader.info().image_count):
            before = known.setdefault(image.id, image)
            for field in ("path", "size", "content", "label"):
                one, two = getattr(before, field), getattr(image, field)
                if one != two and None not in (one, two):
                    raise Mismatch(
                        f"{_names(first, reader)}: image {image.id}, {printable(image.path)}, has "
                        f"another {field}",
                        "merge runs of the same images",
                    )
            content = before.content if before.content is not None else image.content
            label = before.label if before.label is not None else image.label
            known[image.id] = before._replace(content=content, label=label)
    images = tuple(known[rank] for rank in sorted(known))
    return Manifest(Path(plan.data), images, first.manifest_sha256(), len(images))


def _fill(
    writer: RunWriter,
    readers: Sequence[RunReader],
    plan: RunPlan,
    manifest: Manifest,
    name: str,
) -> None:
    contents = {image.id: image.content for image in manifest.images if image.content is not None}
    bare = tuple(image._replace(content=None) for image in manifest.images)
    writer.begin(name, plan, replace(manifest, images=bare))
    with RunReader(writer.path) as merged:
        _take_networks(writer, merged, readers)
        cells = {(cell.backbone, cell.method): cell.id for cell in merged.cells()}
        for reader in readers:
            with reader.moment():
                _take_rows(writer, reader, readers[0], cells, contents)
        _finish(writer, merged, readers)


def _take_networks(writer: RunWriter, merged: RunReader, readers: Sequence[RunReader]) -> None:
    """Store networks and cells; those that two runs have must be the same."""
    plan = merged.plan()
    positions = {spec.name: place for place, spec in enumerate(plan.backbones)}
    for reader in readers:
        try:
            for backbone, loaded in reader.backbones().items():
                if loaded is not None:
                    writer.cells.set_backbone(positions[backbone], loaded)
        except Mismatch as error:
            raise Mismatch(f"{_names(readers[0], reader)}: {error.message}", _ASIDE) from error
        versions = reader.info().versions
        known = merged.info().versions
        if "truth" in known and versions.get("truth", known["truth"]) != known["truth"]:
            raise Mismatch(f"{_names(readers[0], reader)} have another truth", _ASIDE)
        writer.add_versions(versions)
    told: dict[tuple[str, str], str] = {}
    cells = merged.cells()
    for backbone, loaded in merged.backbones().items():
        mine = [cell for cell in cells if cell.backbone == backbone]
        for one in describe_cells(plan, mine, loaded) if loaded is not None else ():
            writer.cells.describe(
                one.cell, identity=one.identity, applicable=one.applicable, note=one.note
            )
            told |= {(backbone, c.method): one.identity for c in mine if c.id == one.cell}
    for reader in readers:
        identities = reader.identities()
        for cell in reader.cells():
            identity = identities.get(cell.id)
            if identity is not None and identity != told[cell.backbone, cell.method]:
                raise Mismatch(
                    f"{printable(reader.path.name)}: {cell.backbone}/{printable(cell.method)} is "
                    "not the network and method of the others",
                    _ASIDE,
                )


def _take_rows(
    writer: RunWriter,
    reader: RunReader,
    first: RunReader,
    cells: dict[tuple[str, str], int],
    contents: dict[int, bytes],
) -> None:
    """Add the rows, measurements and failures of a run; those that are there must be the same."""
    precision = reader.plan().precision
    for cell in reader.cells():
        place = cells[cell.backbone, cell.method]
        name = f"{cell.backbone}/{printable(cell.method)}"
        for start in range(0, reader.info().image_count, _AT_ONCE):
            images = range(start, start + _AT_ONCE)
            rows = [
                row_of(record)._replace(cell=place)
                for record, _ in reader.checks.verified("", [cell.id], images)
            ]
            measured = [
                Measurement(place, *record[1:])
                for record, _ in reader.checks.verified("*", [cell.id], images)
            ]
            failures = [
                Failure(place, *record)
                for record in reader.all(
                    "SELECT image_id, metric, reason, detail FROM failures WHERE cell_id = ?"
                    " AND image_id >= ? AND image_id < ?",
                    (cell.id, images.start, images.stop),
                )
            ]
            both: list[Row | Measurement] = [*rows, *measured]
            for one in both:
                where = f"{_names(first, reader)}: {name}, image {one.image}"
                _refuse_other(writer, one, precision, where)
            there = {row.image: contents[row.image] for row in rows if row.image in contents}
            writer.rows.commit(
                UnitResult(tuple(rows), tuple(measured), tuple(failures), contents=there)
            )


def _refuse_other(
    writer: RunWriter, one: Row | Measurement, precision: Precision, where: str
) -> None:
    """Refuse a value beside which another stands already.

    Raises:
        Mismatch: with both.
    """
    allowed, metric = TOLERANCE[precision], ""
    key: list[Any] = [one.cell, one.image]
    if isinstance(one, Measurement):
        allowed, metric = max(CURVES, allowed), one.metric
        key.append(metric)
        query = f"SELECT {MEASUREMENT_COLUMNS} FROM measurements WHERE cell_id = ?1"
        query += " AND image_id = ?2 AND metric = ?3"
    else:
        query = f"SELECT {ROW_COLUMNS} FROM results WHERE cell_id = ? AND image_id = ?"
    known = writer.execute(query, key).fetchone()
    if known is None:
        return
    near = isinstance(one, Row) and abs(one.o - one.y) <= allowed
    for name, before, now in zip(one._fields, known, one, strict=True):
        if isinstance(now, bytes) or (near and name == "average_increase"):
            continue
        both = isinstance(before, float) and isinstance(now, float)
        if before == now or (both and abs(before - now) <= allowed):
            continue
        raise Mismatch(
            f"{where}: {metric or name} is {before!r} in one and {now!r} in the other",
            "camtui verify RUN tells which of them comes out again",
        )


def _finish(writer: RunWriter, merged: RunReader, readers: Sequence[RunReader]) -> None:
    """Store stages, times and state: complete where nothing is left to compute."""
    plan = merged.plan()
    images = merged.info().image_count
    stages = plan_stages(plan, merged.cells(), merged.backbones(), cuda=False)
    writer.set_stages([stage.record(images) for stage in stages])
    created = min(reader.info().created for reader in readers)
    writer.event("info", f"merged from {', '.join(printable(r.path.name) for r in readers)}")
    writer.execute("UPDATE run SET created = ?, pid = NULL, host = ''", (created,))
    loaded = all(one is not None for one in merged.backbones().values())
    left = [stage for stage in merged.stages() if stage.done < stage.images]
    complete = loaded and not left and plan.rule is None
    writer.set_state(
        "complete" if complete else "stopped",
        "" if complete else "merged; camtui resume computes what is missing",
    )
