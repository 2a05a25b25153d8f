"""A run as a folder for others: files that need no camtui, and a manifest of their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from camtui.export import ExportRequest, export_file
from camtui.export.datapackage import describe
from camtui.export.delimited import write_delimited
from camtui.export.output import as_text, destination
from camtui.export.records import plan_toml, run_record
from camtui.figures.report import ReportOptions, write_report
from camtui.runs import versions
from evaluator import catalog
from evaluator.errors import StoreError, UsageError
from evaluator.store.files import open_to_read
from evaluator.store.portable import portable_plan, private_paths, write_portable
from evaluator.store.reader import RunReader
from evaluator.text import printable

MANIFEST: Final = "manifest.json"
RUN: Final = "run.db"
VERSION: Final = 1

_PAPER = (
    "Poppi, Cornia, Baraldi, Cucchiara: Revisiting The Evaluation of Class Activation Mapping for "
    "Explainability: A Novel Metric and Experimental Analysis. CVPR Workshops 2021"
)


@dataclass(frozen=True)
class Fingerprint:
    """What was measured: two runs with one fingerprint have the same rows, but for rounding.

    Attributes:
        plan: sha256 of the plan, places of files aside.
        images: sha256 over path and content of every image, in order.
        networks: name → sha256 over weights, layer and source; empty where it was never loaded.
        methods: cell → ``plan.cell_identity``.
    """

    plan: str
    images: str
    networks: dict[str, str]
    methods: dict[str, str]

    @property
    def sha256(self) -> str:
        """Over all of them."""
        return _sha256(json.dumps(self.to_dict(), sort_keys=True).encode())

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "plan": self.plan,
            "images": self.images,
            "networks": self.networks,
            "methods": self.methods,
        }


def fingerprint(reader: RunReader) -> Fingerprint:
    """Return the fingerprint of a run; of a run and of its bundle it is the same."""
    images = hashlib.sha256()
    for image in reader.images.between(0, reader.info().image_count):
        images.update(b"%d\0%s\0" % (len(image.path), image.path) + (image.content or b"-"))
    identities = reader.identities()
    return Fingerprint(
        portable_plan(reader.plan()).sha256,
        images.hexdigest(),
        {
            name: (
                loaded and _sha256("\0".join((loaded.sha256, loaded.layer, loaded.source)).encode())
            )
            or ""
            for name, loaded in reader.backbones().items()
        },
        {f"{cell.backbone}/{cell.method}": identities.get(cell.id, "") for cell in reader.cells()},
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_bundle(reader: RunReader, target: Path) -> list[str]:
    """Write a run as a folder that appears whole or not at all.

    Returns:
        What had to be left out and why, a line each.

    Raises:
        UsageError: there is something of that name, or it cannot be written.
        StoreError: a record of the run is not what was written.
    """
    target = target.absolute()
    if os.path.lexists(target):
        raise UsageError(f"{printable(target)} exists", "choose another place: -o DIR")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(target)}: {error.strerror}", "choose another place: -o DIR"
        ) from error
    try:
        write_portable(reader, temporary / RUN)
        with RunReader(temporary / RUN) as copy:
            copy.path = Path(RUN)  # what is said of it is of use in the folder
            left_out = list(_write_files(copy, temporary))
            _refuse_private(temporary, private_paths(reader))
            _write_manifest(copy, temporary)
        if os.path.lexists(target):
            raise UsageError(f"{printable(target)} exists", "choose another place: -o DIR")
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return left_out


def _write_files(reader: RunReader, folder: Path) -> Iterator[str]:
    """Write everything but the manifest; yield what is left out."""
    (folder / "plan.toml").write_text(plan_toml(reader), "utf-8")
    export_file(reader, ExportRequest("csv"), folder / "averages.csv")
    form = "parquet" if find_spec("pyarrow") else "csv"
    export_file(reader, ExportRequest(form, per_image=True), folder / f"rows.{form}")
    _write_images(reader, folder / "images.csv")
    with destination(folder / "report.html") as binary, as_text(binary) as stream:
        yield from write_report(stream, reader, plan_toml(reader), ReportOptions(worst=0))
    (folder / "CITATION").write_text(_citation(reader), "utf-8")


def _write_images(reader: RunReader, file: Path) -> None:
    """Path, hash and label of every image, and the class explained by each network."""
    cells: dict[str, list[int]] = {}
    for cell in reader.cells():
        cells.setdefault(cell.backbone, []).append(cell.id)
    targets = {name: reader.rows.targets(ids) for name, ids in cells.items()}
    columns = {name: "target" if len(cells) == 1 else f"target of {name}" for name in cells}
    fields = ["path", "sha256", "label", *columns.values()]
    records = (
        {
            "path": printable(image.path),
            "sha256": image.content.hex() if image.content else None,
            "label": image.label,
            **{column: targets[name].get(image.id) for name, column in columns.items()},
        }
        for image in reader.images.between(0, reader.info().image_count)
    )
    with destination(file) as binary, as_text(binary) as stream:
        write_delimited(stream, fields, records, ",")
    describe(file, "csv", fields, run_record(reader))


def _citation(reader: RunReader) -> str:
    """Return what to cite: camtui and the run, the paper of ADCC, and that of each method."""
    plan = reader.plan()
    papers = dict.fromkeys(catalog.method(one).paper for one in plan.methods)
    lines = [
        f"camtui {reader.info().versions.get('camtui', '')}, run {printable(reader.info().name)}, "
        f"fingerprint {fingerprint(reader).sha256}",
        _PAPER,
        *(printable(paper) for paper in papers if paper),
    ]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _refuse_private(folder: Path, private: Iterable[str]) -> None:
    """Refuse to give away a path of the maker's machine that has slipped into a file.

    Raises:
        StoreError: names the file.
    """
    words = [os.fsencode(path) for path in private]
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        if word := next((word for word in words if word in data), None):
            raise StoreError(
                f"{printable(file.name)} would give away {printable(word)}",
                "please report it: the bundle was not written",
            )


def _write_manifest(reader: RunReader, folder: Path) -> None:
    found = fingerprint(reader)
    manifest = {
        "created-by": "camtui",
        "bundle_version": VERSION,
        "run": printable(reader.info().name),
        "fingerprint": found.sha256,
        "fingerprint_of": found.to_dict(),
        "versions": {**reader.info().versions, "bundled_by": f"camtui {versions()['camtui']}"},
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": _hash_of(file)}
            for file in sorted(folder.iterdir())
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _hash_of(file: Path) -> str:
    """Return the hash of a regular file, empty where there is none, also behind a link."""
    descriptor = open_to_read(file)
    if descriptor is None:
        return ""
    with open(descriptor, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
