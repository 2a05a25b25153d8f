"""A run as plain values at full precision, fractions: its averages, and one record for each row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from camtui.format.cells import CellView, means_of_images
from camtui.format.groups import By, Group
from camtui.status import state_now
from evaluator.catalog import ROW_METRICS, key_of
from evaluator.metrics.base import Metric
from evaluator.records import ImageRef, LoadedBackbone, Row
from evaluator.statistics import Mean
from evaluator.store.reader import RunReader
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import LoadedBackbonePayload, MeanPayload, RunPayload

SCHEMA_VERSION: Final = 1
"""Version of every JSON that camtui prints; ``camtui.payloads`` describes it."""

Record = dict[str, Any]


def run_record(reader: RunReader) -> RunPayload:
    """Return the run: when, what, by which protocol, with which weights and versions."""
    info = reader.info()
    return {
        "name": printable(info.name),
        "state": state_now(reader),
        "created": _timestamp(info.created),
        "finished": None if info.finished is None else _timestamp(info.finished),
        "images": info.image_count,
        "manifest_sha256": reader.manifest_sha256(),
        "plan": reader.plan().to_dict(),
        "backbones": {name: _loaded(loaded) for name, loaded in reader.backbones().items()},
        "versions": info.versions,
    }


def group_record(group: Group, by: By) -> Record:
    """Return the group: ``class`` and ``class_name``, or ``correct``; ``None`` where unknown."""
    return (
        {"class": group.index, "class_name": group.name}
        if by == "class"
        else {"correct": group.correct}
    )


def cell_record(view: CellView, metrics: Sequence[Metric], group: Record | None = None) -> Record:
    """Return one cell, or some of its images, with each metric as an average or ``None``."""
    keys = [*(metric.key for metric in metrics), *means_of_images(metrics)]
    return {**_head(view), **(group or {}), **{key: _mean(view.mean(key)) for key in keys}}


def flat_record(view: CellView, metrics: Sequence[Metric], group: Record | None = None) -> Record:
    """Return one cell, or some of its images, in columns: ``adcc``, ``adcc_se``, ``adcc_n``."""
    record = {**_head(view), **(group or {})}
    for key in [*(metric.key for metric in metrics), *means_of_images(metrics)]:
        mean = view.mean(key)
        record[key] = mean.value if mean else None
        record[f"{key}_se"] = mean.se if mean else None
        record[f"{key}_n"] = mean.n if mean else 0
    return record


def _head(view: CellView) -> Record:
    summary = view.summary
    return {
        "backbone": view.cell.backbone,
        "method": view.cell.method,
        "applicable": view.cell.applicable,
        "note": printable(view.cell.note),
        "n": summary.n,
        "failed": summary.failed,
        "degenerate": summary.degenerate,
    }


def _mean(mean: Mean | None) -> MeanPayload | None:
    return {"mean": mean.value, "se": mean.se, "n": mean.n} if mean else None


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


_OF_A_BACKBONE = (
    "weights", "sha256", "layer", "preprocessing", "score", "cut", "transform_input", "remarks",
)  # fmt: skip
"""What is told of a backbone."""


def _loaded(loaded: LoadedBackbone | None) -> LoadedBackbonePayload | None:
    if loaded is None:
        return None
    facts = asdict(loaded)
    told = {name: _printable(facts[name]) for name in _OF_A_BACKBONE}
    return cast("LoadedBackbonePayload", told)


def _printable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_printable(one) for one in value]
    return printable(value) if isinstance(value, str) else value


def image_records(
    reader: RunReader, views: Sequence[CellView], metrics: Sequence[Metric]
) -> Iterator[Record]:
    """Yield one record for every row of some cells, in the order of evaluation."""
    keys = [metric.key for metric in metrics]
    for view in views:
        names = {"backbone": view.cell.backbone, "method": view.cell.method}
        for row, image, curves in reader.rows.of_cell(view.cell.id):
            yield {**names, **_image_record(row, image, curves, keys)}


def _image_record(
    row: Row, image: ImageRef, curves: dict[str, float], metrics: Sequence[str]
) -> Record:
    name = printable(image.path)
    record: Record = {
        "image": name,
        "label": image.label,
        "target": row.target,
        "predicted": row.predicted,
        "y": row.y,
        "o": row.o,
    }
    for key in metrics:
        record[key] = curves.get(key) if key not in ROW_METRICS else getattr(row, key)
    record["degenerate"] = row.degenerate
    if os.fsencode(name) != image.path:
        record["image_hex"] = image.path.hex()
    return record


def image_fields(metrics: Sequence[Metric]) -> list[str]:
    """Return the columns of ``image_records`` in order.

    JSON adds ``image_hex`` where a name is not printable as it is.
    """
    head = ["backbone", "method", "image", "label", "target", "predicted", "y", "o"]
    return [*head, *(metric.key for metric in metrics), "degenerate"]


_GROUP_FIELDS: dict[str, list[str]] = {
    "": [],
    "class": ["class", "class_name"],
    "correct": ["correct"],
}


def summary_fields(metrics: Sequence[Metric], by: By | Literal[""] = "") -> list[str]:
    """Return the columns of ``flat_record`` in order."""
    head = [
        "backbone",
        "method",
        "applicable",
        "note",
        "n",
        "failed",
        "degenerate",
        *_GROUP_FIELDS[by],
    ]
    keys = [*(m.key for m in metrics), *means_of_images(metrics)]
    averages = [name for key in keys for name in (key, f"{key}_se")]
    return [*head, *averages, *(f"{key}_n" for key in keys)]


def plan_toml(reader: RunReader) -> str:
    """Return the plan of a run as TOML, unset fields left out, code of others by reference."""
    import tomli_w

    plan = reader.plan()
    values = _set_fields(plan.to_dict())
    del values["code"]
    for axis in ("method", "metric"):
        places = {one.key: one.reference for one in plan.code if one.axis == axis}
        values[f"{axis}s"] = [_by_reference(spec, places) for spec in values[f"{axis}s"]]
    comment = (
        f"# plan of the run {printable(reader.info().name)}; again: "
        "camtui run --config FILE --name NEW\n"
    )
    return comment + tomli_w.dumps(values)


def _by_reference(spec: str, places: dict[str, str]) -> str:
    """``mycam:power=2.0`` → ``/home/me/mycam.py:MyCAM:power=2.0``."""
    key = key_of(spec)
    return f"{places.get(key, key)}{spec[len(key) :]}"


def _set_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _set_fields(entry) for key, entry in value.items() if entry is not None}
    return [_set_fields(entry) for entry in value] if isinstance(value, list | tuple) else value
