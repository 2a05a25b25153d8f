"""Files of many images, made of the images of a folder by the usual programs' libraries."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """Path and content of every file below a folder, sorted."""
    return [
        (str(file.relative_to(folder)), file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]


def tar_of(target: Path, members: list[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(target, "w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
            archive.members.clear()  # type: ignore[attr-defined]
    return target


def zip_of(
    target: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target


def shards_of(folder: Path, members: list[tuple[str, bytes]], label: str = "cls") -> Path:
    """Three WebDataset shards with a label beside each image, by the number in its folder's name;
    returns their pattern.
    """
    for shard in range(3):
        found: list[tuple[str, bytes]] = []
        for name, data in members[shard::3]:
            key, flat = name.partition("/")[0], name.replace("/", "_")
            stem = flat.rpartition(".")[0]
            number = int(key.rpartition("_")[2] if "_" in key else key)
            beside = str(number) if label == "cls" else json.dumps({"label": number, "w": 64})
            found += [(flat, data), (f"{stem}.{label}", beside.encode())]
        tar_of(folder / f"val-{shard:03}.tar", found)
    return folder / "val-{000..002}.tar"


def npz_of(target: Path, arrays: dict[str, Any], *, packed: bool = False) -> Path:
    (np.savez_compressed if packed else np.savez)(target, **arrays)
    return target


def parquet_of(
    target: Path,
    members: list[tuple[str, bytes]],
    *,
    names: tuple[str, ...] = (),
    labels: list[Any] | None = None,
    group: int = 4,
    paths: bool = True,
) -> Path:
    """Images and labels as Hugging Face's ``Dataset.to_parquet`` writes them."""
    images = [{"bytes": data, "path": name if paths else None} for name, data in members]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(images, kind)}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = pa.array(labels)
        features["label"] = {"names": list(names), "_type": "ClassLabel"} if names else {}
    table = pa.table(columns)
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(told), target, row_group_size=group)
    return target
