"""Rows of a stored run computed again, and how far they are apart: a child of ``camtui verify``.

The images are copied into a folder of this process's own, under their paths in the run, which the
noise of methods depends on. Of the run's code only what the request allows is imported.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS, method, metric
from evaluator.child import serve
from evaluator.errors import CamtuiError
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import open_session
from evaluator.methods.base import Method
from evaluator.plan import RunPlan, as_loaded
from evaluator.records import Cell, ImageRef, LoadedBackbone, Measurement, Precision, Row, Unit
from evaluator.references import as_reference
from evaluator.sources import read_image
from evaluator.store.audit import CURVES, TOLERANCE
from evaluator.store.reader import RunReader
from evaluator.text import printable

_COMPARED = ("y", "o", *ROW_METRICS)


class Difference(NamedTuple):
    """A value that is not what was stored.

    Attributes:
        metric: ``y``, ``o``, ``target``, ``predicted``, ``map``, or a metric's key.
        apart: how far, ``inf`` where only one of them is there.
    """

    cell: int
    image: int
    metric: str
    stored: float | None
    found: float | None
    apart: float


def row_difference(
    stored: Row, found: Row | None, precision: Precision, map_type: str = Method.map_type
) -> Difference | None:
    """The largest difference of a row beyond the tolerance; ``None`` where it agrees.

    Whether the confidence rose is not compared where it changed by less than the tolerance.
    """
    allowed = TOLERANCE[precision]
    if found is None:
        return Difference(stored.cell, stored.image, "y", stored.y, None, inf)
    apart: list[Difference] = []
    for name in ("target", "predicted"):
        before, now = getattr(stored, name), getattr(found, name)
        if before != now:
            apart.append(Difference(stored.cell, stored.image, name, before, now, inf))
    near = abs(stored.o - stored.y) <= allowed
    for name in _COMPARED:
        if name == "average_increase" and near:
            continue
        before, now = getattr(stored, name), getattr(found, name)
        if (difference := _apart(before, now)) > allowed:
            apart.append(Difference(stored.cell, stored.image, name, before, now, difference))
    if (difference := _maps_apart(stored.map, found.map, map_type)) > 10 * allowed:
        apart.append(Difference(stored.cell, stored.image, "map", None, None, difference))
    return max(apart, key=lambda one: one.apart, default=None)


def _apart(before: float | None, now: float | None) -> float:
    if before is None or now is None:
        return 0.0 if before is now else inf
    return abs(before - now) if before == before and now == now else inf


def _maps_apart(before: bytes | None, now: bytes | None, map_type: str) -> float:
    """Mean difference of two maps' values."""
    import numpy as np

    if before is None or now is None or len(before) != len(now):
        return 0.0 if before is now else inf
    values = [np.frombuffer(one, map_type).astype(np.float32) for one in (before, now)]
    difference = float(np.abs(values[0] - values[1]).mean())
    return difference if difference == difference else inf


def changed_network(stored: LoadedBackbone, now: LoadedBackbone) -> str:
    """What of a network is not what the run was made with, in words; empty where nothing is."""
    for name, words in (
        ("sha256", "its weights"),
        ("layer", "its layer"),
        ("source", "its source"),
        ("preprocessing", "its preprocessing"),
        ("score", "its score"),
    ):
        before, found = getattr(stored, name), getattr(now, name)
        if before != found:
            return f"{words}: {printable(found, 80)} here, {printable(before, 80)} in the run"
    return ""


def _answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield ``{"network", "problem"}`` of each network, ``{"rows": [Difference or None …]}``.

    Args:
        request: ``db``; ``plan``, as it may be computed here; ``root`` and ``files``: image id →
            path of its file in it; ``pairs``: cell and image of each row; ``device``; ``allowed``.
    """
    with RunReader(Path(request["db"])) as reader, TemporaryDirectory(prefix="camtui-") as folder:
        stored = reader.backbones()
        plan = as_loaded(RunPlan.from_values(request["plan"]), stored)
        files = {int(image): bytes.fromhex(path) for image, path in request["files"].items()}
        images = {
            image: _copied(reader.images.get(image), Path(request["root"]), path, Path(folder))
            for image, path in files.items()
        }
        allowed = {as_reference(one).text: sha for one, sha in request["allowed"].items()}
        session = open_session(
            SessionSettings(
                plan=plan,
                root=folder,
                device=request["device"],
                pictures=tuple(images.values())[:8],
                allowed={**request["allowed"], **allowed},
                layers={
                    place: known.layer
                    for place, spec in enumerate(plan.backbones)
                    if (known := stored.get(spec.name)) is not None
                },
            )
        )
        cells = {cell.id: cell for cell in reader.cells()}
        wanted: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for cell, image in request["pairs"]:
            wanted[cells[cell].backbone][image].append(cell)
        for place, spec in enumerate(plan.backbones):
            known = stored.get(spec.name)
            if spec.name not in wanted or known is None:
                continue
            try:
                problem = changed_network(known, session.load(place))
            except CamtuiError as error:
                yield {"network": spec.name, "problem": error.message, "loaded": False}
                continue
            yield {"network": spec.name, "problem": problem, "loaded": True}
            for image, ids in wanted[spec.name].items():
                methods = tuple(cells[cell].method for cell in ids)
                unit = Unit(0, 0, place, tuple(ids), methods, (images[image],))
                rows = {row.cell: row for row in session.evaluate(unit).rows}
                maps = reader.rows.stored_maps(ids, image, image).maps
                metrics = _optional(plan)
                measured = (
                    session.evaluate(replace(unit, metrics=metrics, maps=maps)).measurements
                    if metrics
                    else ()
                )
                compared = [
                    (cell, image, _compared(reader, cells[cell], image, rows, measured, plan))
                    for cell in ids
                ]
                yield {"rows": compared}
        session.close()


def _copied(image: ImageRef, root: Path, path: bytes, folder: Path) -> ImageRef:
    """The image, its file copied to its path in the run below a folder of our own.

    What is copied are the bytes that were hashed; a path that leads out is not followed.
    """
    place = os.path.normpath(image.path)
    data = read_image(root, path)
    outside = place == b".." or place.startswith((b"/", b"../"))
    if outside or (image.content not in (None, sha256(data).digest())):
        raise ValueError(f"{printable(image.path)} changed while it was read, or is no path")
    target = os.path.join(os.fsencode(folder), place)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "xb") as file:
        file.write(data)
    return image._replace(size=len(data))


def _optional(plan: RunPlan) -> tuple[str, ...]:
    """The curves of a plan, which stored maps are enough for."""
    return tuple(key for key in plan.optional_metrics if metric(key).curve)


def _compared(
    reader: RunReader,
    cell: Cell,
    image: int,
    rows: Mapping[int, Row],
    measured: Sequence[Measurement],
    plan: RunPlan,
) -> Difference | None:
    stored = reader.rows.get(cell.id, image)
    assert stored is not None, "it was drawn among the rows"
    map_type = method(cell.method).map_type
    if difference := row_difference(stored, rows.get(cell.id), plan.precision, map_type):
        return difference
    known = reader.rows.measurements(cell.id, image)
    for one in measured:
        if one.cell == cell.id and one.metric in known:
            before = known[one.metric].value
            if (apart := _apart(before, one.value)) > max(CURVES, TOLERANCE[plan.precision]):
                return Difference(cell.id, image, one.metric, before, one.value, apart)
    return None


if __name__ == "__main__":
    serve(_answers)
