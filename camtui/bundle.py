"""A run as a folder for others, a manifest of its hashes, and whether it is what was made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from camtui.code_resolver import allowed_of
from camtui.export import ExportRequest, export_file
from camtui.export.datapackage import describe
from camtui.export.delimited import write_delimited
from camtui.export.output import as_text, destination
from camtui.export.records import plan_toml, run_record
from camtui.figures.report import ReportOptions, write_report
from camtui.launch import ChildEnded, ask
from camtui.runs import versions
from evaluator import catalog
from evaluator.errors import CamtuiError, StoreError, UsageError
from evaluator.execution.registration import describe_cells
from evaluator.plan import RunPlan
from evaluator.records import Cell
from evaluator.references import as_reference
from evaluator.store.audit import draw_rows, locate_images
from evaluator.store.files import open_to_read, temporary_beside
from evaluator.store.portable import portable_plan, private_paths, write_portable
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable
from evaluator.user_code_facts import Code

if TYPE_CHECKING:
    from camtui.payloads import DifferingRowPayload

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
    temporary = temporary_beside(target)
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
        yield from write_report(stream, reader, plan_toml(reader), ReportOptions(images=0))
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
        "versions": {**reader.info().versions, "bundled_by": _us()},
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


# -- whether a run is what was made
# --------------------------------------------------------------------------------------------------


def check_files(folder: Path) -> list[str]:
    """Return what in a bundle is not as its manifest says, one line each; nothing as a rule.

    Raises:
        StoreError: it has no manifest of a bundle.
    """
    files = _manifest(folder)["files"]
    problems = []
    for name, known in files.items():
        if found := _hash_of(folder / name):
            if found != known.get("sha256"):
                problems.append(f"{printable(name)}: not the file that the manifest has")
        else:
            problems.append(f"{printable(name)}: the manifest has it, the folder has not")
    beside = (f"{RUN}{ending}" for ending in ("-wal", "-journal", "-shm"))
    problems += [
        f"{name}: stands beside {RUN} and would change what is read of it"
        for name in beside
        if os.path.lexists(folder / name)
    ]
    return problems


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a bundle, which may be anybody's."""
    descriptor = open_to_read(folder / MANIFEST)
    with suppress(ValueError, TypeError, AttributeError):
        if descriptor is not None:
            with open(descriptor, encoding="utf-8") as stream:
                found: dict[str, Any] = json.load(stream)
            files = found["files"] if isinstance(found, dict) and "files" in found else None
            if (
                found.get("bundle_version") == VERSION
                and isinstance(files, dict)
                and RUN in files
                and all("/" not in name and isinstance(one, dict) for name, one in files.items())
            ):
                return found
    raise StoreError(
        f"{printable(folder)} has no manifest of a bundle of version {VERSION}",
        "camtui verify takes a folder of camtui bundle, or a run",
    )


def check_contents(reader: RunReader, folder: Path) -> list[str]:
    """Return what in a bundle does not follow from its run, whatever the hashes say."""
    manifest, found = _manifest(folder), fingerprint(reader)
    told = manifest.get("fingerprint_of")
    told = told if isinstance(told, dict) else {}
    problems = [
        f"{part}: not what the manifest's fingerprint was made from"
        for part, value in found.to_dict().items()
        if told.get(part) != value
    ]
    if not problems and manifest.get("fingerprint") != found.sha256:
        problems.append("fingerprint: not that of the run")
    made_by = manifest.get("versions")
    if not isinstance(made_by, dict) or made_by.get("bundled_by") != _us():
        return problems  # another version may write other columns
    with TemporaryDirectory() as temporary:
        place, reader.path = reader.path, Path(RUN)
        try:
            made = Path(temporary)
            (made / "plan.toml").write_text(plan_toml(reader), "utf-8")
            export_file(reader, ExportRequest("csv"), made / "averages.csv")
            _write_images(reader, made / "images.csv")
            if (folder / "rows.csv").is_file():
                export_file(reader, ExportRequest("csv", per_image=True), made / "rows.csv")
        finally:
            reader.path = place
        problems += [
            f"{file.name}: not what {RUN} gives"
            for file in sorted(made.iterdir())
            if file.name != "datapackage.json" and _hash_of(file) != _hash_of(folder / file.name)
        ]
    return problems


def check_identities(reader: RunReader) -> list[str]:
    """Return the cells whose identity is not that of the plan, network and method in the file."""
    plan, stored = reader.plan(), reader.identities()
    cells, problems = reader.cells(), []
    for name, loaded in reader.backbones().items():
        if loaded is None:
            continue
        mine = [cell for cell in cells if cell.backbone == name]
        wrong = [
            told.cell
            for told in describe_cells(plan, mine, loaded)
            if stored.get(told.cell, told.identity) != told.identity
        ]
        names = [cell.method for cell in mine if cell.id in wrong]
        if names:
            problems.append(
                f"{printable(name)}/{printable(', '.join(names), 100)}: plan, network or method "
                "in the file are not those that the rows were made by"
            )
    return problems


@dataclass(frozen=True)
class Recomputed:
    """Rows that were computed again.

    Attributes:
        rows: among which they were drawn, ``drawn`` of them, ``agreed`` within the tolerance.
        differing: the others; ``problems``: networks that are others.
        remarks: what could not be computed here and why.
    """

    rows: int = 0
    drawn: int = 0
    agreed: int = 0
    differing: list[DifferingRowPayload] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def recompute(
    reader: RunReader,
    root: Path,
    count: int,
    *,
    seed: int,
    device: str,
    retry_command: str,
    allow: bool = False,
) -> Recomputed:
    """Compute rows that are drawn at random again, in a process of their own.

    Args:
        root: the folder with the images, found by their hashes.
        retry_command, allow: of code that is not camtui's own, see ``allowed_of``.
    """
    located = locate_images(reader, root)
    remarks, allowed, blocked = [], dict[str, str](), set[str]()
    plan = reader.plan()
    code = []
    for one in plan.code:
        try:
            here = replace(one, reference=as_reference(one.reference).text)
            allowed |= allowed_of([here], retry_command, allow=allow)
            code.append(here)
        except CamtuiError as error:
            blocked.add(one.key)
            remarks.append(f"not computed again: {error.message}; {error.hint}")
    cells = {
        cell.id: cell
        for cell in reader.cells()
        if cell.applicable and catalog.key_of(cell.method) not in blocked
    }
    keys = {spec.name: spec.key for spec in plan.backbones}
    cells = {id_: cell for id_, cell in cells.items() if keys[cell.backbone] not in blocked}
    if located.missing:
        remarks.append(f"{counted(located.missing, 'image')} of the run not in {printable(root)}")
    if located.by_size:
        remarks.append(f"{counted(located.by_size, 'image')} without a hash, taken by the path")
    drawn = draw_rows(reader, count, Random(seed), cells, located.files)
    request = {
        "db": str(reader.path.absolute()),
        "plan": _computable(plan, code, blocked).to_dict(),
        "root": str(root.absolute()),
        "files": {image: located.files[image].hex() for _, image in drawn.pairs},
        "pairs": drawn.pairs,
        "device": device,
        "allowed": allowed,
    }
    differing: list[DifferingRowPayload] = []
    problems, agreed = list(located.replaced), 0
    loaded: set[str] = set()
    try:
        for answer in ask(_CHILD, request) if drawn.pairs else ():
            if "network" in answer:
                name = answer["network"]
                loaded |= {name} if answer["loaded"] else set()
                if answer["problem"]:
                    said = f"{name}: {answer['problem']}"
                    (problems if answer["loaded"] else remarks).append(said)
            for cell, image, difference in answer.get("rows", ()):
                if difference is None:
                    agreed += 1
                else:
                    differing.append(_differing(reader, cells[cell], image, difference))
    except ChildEnded as end:
        problems.append(f"computing rows again ended early: {end.said}")
    ours = {id_ for id_, cell in cells.items() if cell.backbone in loaded}
    among = draw_rows(reader, 0, Random(0), ours, located.files).among
    return Recomputed(among, agreed + len(differing), agreed, differing, problems, remarks)


_CHILD = "evaluator.measuring.recompute"


def _computable(plan: RunPlan, code: list[Code], blocked: set[str]) -> RunPlan:
    """Return the plan without what is not here: truth, files of names, code not allowed."""
    return replace(
        plan,
        truth=None,
        labels=None,
        code=tuple(code),
        methods=tuple(one for one in plan.methods if catalog.key_of(one) not in blocked),
        metrics=tuple(one for one in plan.metrics if one not in blocked),
        backbones=tuple(replace(spec, classes=None) for spec in plan.backbones),
    )


def _differing(
    reader: RunReader, cell: Cell, image: int, difference: list[Any]
) -> DifferingRowPayload:
    *_, metric, stored, found, apart = difference
    return {
        "backbone": cell.backbone,
        "method": cell.method,
        "image": printable(reader.images.get(image).path),
        "metric": metric,
        "stored": stored,
        "found": found,
        "difference": apart if isfinite(apart) else None,
    }


def _us() -> str:
    return f"camtui {versions()['camtui']}"
