"""``camtui bundle``: a folder that others can read, with nothing of the maker's machine in it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from camtui.bundle import MANIFEST, fingerprint
from evaluator.records import Failure, UnitResult, WorkerState
from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.camtui.cli.support import typed
from tests.synthetic import make_run

USER = "annamaria"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose file is full of its maker's paths, in a home with a space in it."""
    home = tmp_path / USER / "my files"
    (home / "masks").mkdir(parents=True)
    (home / "net.safetensors").write_bytes(b"")
    (home / "names.txt").write_text("one\n")
    (home / "labels.csv").write_text("image,label\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CAMTUI_HOME", str(home / "camtui"))
    extra = {
        "labels": str(home / "labels.csv"),
        "truth": str(home / "masks"),
        "backbones": [
            "resnet18",
            {"key": "vgg16", "weights": f"{home}/net.safetensors", "classes": f"{home}/names.txt"},
        ],
    }
    path = make_run(
        home / "camtui" / "runs" / "val.db",
        images=12,
        methods=("gradcam", "fakecam"),
        data=home / "val",
        pictures=True,
        state="stopped",
        plan=extra,
    )
    writer = RunWriter(path)
    writer.event("warning", f"cannot read {home}/val/n01/x.png: gone; see ~/camtui/runs/val.db.log")
    writer.event("info", f"labels from {home}/labels.csv, as /srv/{USER}/old.csv had them")
    failure = Failure(1, 3, "deletion", "error", f"OSError: '{home}/val/a.png' is short")
    writer.rows.commit(UnitResult(failures=(failure,)))
    writer.cells.remark(0, [f"built from {home}/net.py:make"])
    writer.heartbeat([WorkerState(0, "cpu", 4242, "busy", time.time(), 0)])
    writer.set_state("failed", f"no room in {home}/camtui")
    writer.close()
    return path


def test_a_bundle_names_nothing_of_its_maker_and_is_the_run(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "val-bundle"
    target.parent.mkdir()
    done = typed("bundle", "val", "-o", str(target))
    assert done.exit_code == 0, done.stderr
    names = {file.name for file in target.iterdir()}
    assert names >= {
        "run.db", "plan.toml", "averages.csv", "images.csv", "report.html", "datapackage.json",
        "CITATION", MANIFEST,
    }  # fmt: skip
    assert names & {"rows.csv", "rows.parquet"}
    private = [str(tmp_path), USER, "my files", "/val", "data:image/jpeg"]
    for file in target.iterdir():
        content = file.read_bytes()
        assert [word for word in private if os.fsencode(word) in content] == [], file.name
    with RunReader(target / "run.db") as copy, RunReader(made) as run:
        assert audit(copy) == []
        assert list(copy.rows.every_row()) == list(run.rows.every_row())
        assert list(copy.rows.every_measurement()) == list(run.rows.every_measurement())
        assert copy.averages.raw_sums() == run.averages.raw_sums()
        assert copy.identities() == run.identities()
        assert fingerprint(copy) == fingerprint(run)
        assert [event.text for event in copy.events()][-2:] == [
            "cannot read n01/x.png: gone; see val.db.log",
            "labels from labels.csv, as old.csv had them",
        ]
        assert (copy.info().host, copy.info().pid, copy.workers()) == ("", None, [])
        assert copy.info().message == "no room in camtui"
    assert typed("table", str(target / "run.db")).exit_code == 0


def test_the_manifest_has_the_hash_of_every_other_file(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    assert typed("bundle", "val", "-o", str(target)).exit_code == 0
    manifest = json.loads((target / MANIFEST).read_text())
    others = {file.name: file.read_bytes() for file in target.iterdir() if file.name != MANIFEST}
    assert {name: one["sha256"] for name, one in manifest["files"].items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in others.items()
    }
    assert manifest["fingerprint"] in (target / "CITATION").read_text()
    described = json.loads((target / "datapackage.json").read_text())["resources"]
    assert {one["path"] for one in described} == {
        name for name in others if name[-4:] in (".csv", "quet")
    }
    lines = (target / "images.csv").read_text().splitlines()
    assert lines[0].startswith("path,sha256,label,target of resnet18,target of vgg16")
    assert len(lines) == 13


def test_nothing_is_written_over_and_half_a_bundle_never_stands(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    refused = typed("bundle", "val", "-o", str(target))
    assert refused.exit_code == 2
    assert "exists" in refused.stderr
    with RunReader(made) as run:
        first = next(run.rows.every_row())
    connection = RunWriter(made)
    connection.execute("UPDATE results SET y = 0.5 WHERE cell_id = ?", (first.cell,))
    connection.close()
    refused = typed("bundle", "val", "-o", str(tmp_path / "other"))
    assert refused.exit_code == 4
    assert "camtui doctor" in refused.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == [USER, "bundle"]
    assert list(target.iterdir()) == []
