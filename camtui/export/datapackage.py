"""``datapackage.json`` beside exported files, with every column (Frictionless Data Package)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camtui.export.output import as_text, destination
from camtui.export.parquet import kind
from evaluator.catalog import known_metrics

if TYPE_CHECKING:
    from camtui.payloads import RunPayload


NAME = "datapackage.json"
_MEDIA = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
_TYPES = {"text": "string", "whole": "integer", "truth": "boolean", "number": "number"}
_MEANINGS = {
    "backbone": "network, with what differs from its defaults",
    "method": "CAM method, with the options that differ from their defaults",
    "applicable": "whether the network admits the method",
    "note": "why not, or which method it equals by construction",
    "n": "images averaged",
    "failed": "images without a value",
    "degenerate": "the map is all zero (per image: true or false; in a summary: how many)",
    "image": "path relative to the data folder; unprintable characters written as escapes",
    "label": "ImageNet class index by label, missing where unknown",
    "target": "class index that is explained",
    "predicted": "class index with the highest logit on the clean image",
    "y": "probability of the target on the image",
    "o": "probability of the target on the explanation map",
    "class": "true class index of the images averaged, missing where unknown",
    "class_name": "its name",
    "correct": "whether the network's prediction is the label, missing where that is unknown",
    "mean_image_adcc": "mean of the per-image ADCC; another number than adcc",
    "mean_image_arcc": "mean of the per-image ARCC; another number than arcc",
}


def describe(file: Path, form: str, fields: Sequence[str], run: RunPayload) -> Path | None:
    """Write or extend the description beside an exported file.

    Returns:
        Where it stands; ``None`` where a description that is not ours was left alone.
    """
    place = file.with_name(NAME)
    package = _ours(place)
    if package is None:
        return None
    others = [
        resource for resource in package.get("resources", []) if resource.get("path") != file.name
    ]
    package = {
        "name": "camtui-export",
        "profile": "data-package",
        "created-by": "camtui",
        "resources": sorted(
            [*others, _resource(file, form, fields, run)],
            key=lambda resource: str(resource["path"]),
        ),
    }
    with destination(place, force=True) as binary, as_text(binary) as stream:
        json.dump(package, stream, indent=1)
        stream.write("\n")
    return place


def _ours(place: Path) -> dict[str, Any] | None:
    """Return the description that is there, empty where none is, ``None`` where it is another's."""
    if not place.exists():
        return {}
    try:
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("created-by") == "camtui" else None


def _resource(file: Path, form: str, fields: Sequence[str], run: RunPayload) -> dict[str, Any]:
    per_image = "image" in fields
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    rows = (
        "one row per image, network and method"
        if per_image
        else "averages, one row per network and method"
    )
    resource: dict[str, Any] = {
        "name": file.stem.lower().replace(" ", "-"),
        "path": file.name,
        "format": form,
        "mediatype": _MEDIA[form],
        "encoding": "utf-8",
        "bytes": file.stat().st_size,
        "hash": f"sha256:{digest.hexdigest()}",
        "description": f"{rows}; metrics are fractions",
        "run": run,
    }
    if form in ("csv", "tsv"):
        resource["dialect"] = {"delimiter": "," if form == "csv" else "\t", "lineTerminator": "\n"}
    if form != "json":
        described = [_field(name, per_image=per_image) for name in fields]
        resource["schema"] = {"fields": described, "missingValues": [""]}
    return resource


def _field(name: str, *, per_image: bool) -> dict[str, str]:
    return {
        "name": name,
        "type": _TYPES[kind(name, per_image=per_image)],
        "description": _meaning(name),
    }


def _meaning(name: str) -> str:
    if name in _MEANINGS:
        return _MEANINGS[name]
    if name.endswith("_n"):
        return f"images that {name.removesuffix('_n')} is the average of"
    metric = known_metrics().get(name.removesuffix("_se"))
    if name.endswith("_se"):
        return f"standard error of {name.removesuffix('_se')}"
    return f"{metric.title}: {metric.definition} ({metric.better} is better)" if metric else name
