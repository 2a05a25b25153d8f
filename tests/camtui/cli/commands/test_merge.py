"""``camtui merge``: several runs of one protocol are one run, byte for byte; others are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from evaluator.store.audit import audit
from evaluator.store.checksums import row_checksum
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.camtui.cli.support import ask, typed
from tests.camtui.cli.support import home as home
from tests.holder import held
from tests.synthetic import make_run

METHODS = ("cam", "gradcam", "scorecam", "fakecam")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(name: str, methods: Sequence[str] = METHODS, **values: Any) -> Path:
    return make_run(Path(f"{name}.db"), **{"images": 20, "methods": methods, **values})


def without(path: Path, condition: str) -> None:
    """Take rows out of a run, and what was computed from them."""
    writer = RunWriter(path)
    for table in ("results", "measurements", "failures"):
        writer.execute(f"DELETE FROM {table} WHERE {condition}")
    with RunReader(path) as reader:
        writer.rows.sums.rebuild(*reader.rows.summed())
    writer.close()


def merged(*names: str) -> Result:
    return typed("merge", *(f"{name}.db" for name in names), "-o", "merged.db")


def contents(name: str) -> Mapping[str, Any]:
    """Everything that a run has measured, and its exports."""
    with RunReader(Path(f"{name}.db")) as reader:
        assert audit(reader) == []
        found = {
            "rows": sorted(reader.rows.every_row()),
            "measurements": sorted(reader.rows.every_measurement()),
            "failures": reader.failures(),
            "sums": reader.averages.raw_sums(),
            "bins": reader.averages.raw_histograms(),
            "cells": reader.cells(),
            "identities": reader.identities(),
            "plan": reader.plan(),
            "images": reader.images.between(0, 1000),
            "checksums": reader.all("SELECT checksum FROM results ORDER BY cell_id, image_id"),
        }
    for words in ("csv", "csv --per-image", "md", "tsv", "jsonl --per-image"):
        done = typed("export", f"{name}.db", "-f", *words.split())
        assert done.exit_code == 0
        found[words] = done.stdout.replace(name, "NAME")  # which Markdown has
    return found


@pytest.mark.parametrize("overlap", [0, 6])
def test_two_halves_of_a_run_are_the_run(folder: Path, overlap: int) -> None:
    made("whole"), made("one"), made("two")
    without(Path("one.db"), f"image_id >= {10 + overlap}")
    without(Path("two.db"), "image_id < 10")
    done = merged("one", "two")
    assert done.exit_code == 0, done.stderr
    assert contents("merged") == contents("whole")
    with RunReader(Path("merged.db")) as reader:
        assert reader.info().state == "complete"
        assert "merged from one.db, two.db" in [event.text for event in reader.events()]
    assert sorted(file.name for file in folder.glob("*merged*")) == ["merged.db"]
    again = merged("one", "two")
    assert (again.exit_code, "exists" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"methods": METHODS[:2]}, {"methods": METHODS[2:]}),
        ({"backbones": ["resnet18"]}, {"backbones": ["vgg16"]}),
        ({"images": 12, "total": 20, "plan": {"limit": 12}, "failures": False}, {}),
    ],
)
def test_methods_networks_and_images_of_several_runs_are_those_of_one(
    folder: Path, one: dict[str, Any], two: dict[str, Any]
) -> None:
    made("whole"), made("one", **one), made("two", **two)
    done = merged("one", "two")
    assert done.exit_code == 0, done.stderr
    found, whole = contents("merged"), contents("whole")
    assert {key for key in found if found[key] != whole[key]} == set()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"plan": {"resize": 256}}, "resize: 224 → 256"),
        ({"plan": {"curve_steps": 14}}, "curve_steps: 28 → 14"),
        ({"plan": {"precision": "bf16"}}, "precision: fp32 → bf16"),
        ({"plan": {"until": "ci<=1"}}, "another until: None and ci<=1"),
        ({"seed": 3}, "seed: 0 → 3"),
    ],
)
def test_protocols_that_differ_are_refused_by_the_options_name(
    folder: Path, values: dict[str, Any], said: str
) -> None:
    made("one", METHODS[:1]), made("two", METHODS[:1], **values)
    done = merged("one", "two")
    assert done.exit_code == 4
    assert "one.db and two.db" in done.stderr
    assert said in done.stderr
    assert not list(folder.glob("*merged*"))


def test_rows_that_disagree_are_refused_with_both(folder: Path) -> None:
    made("one", METHODS[:1]), made("two", METHODS[:1])
    with RunReader(Path("two.db")) as reader:
        row, image = reader.rows.get(1, 5), reader.images.get(5)
        identity = reader.identities()[1]
    assert row is not None
    assert row.coherency is not None
    for shift, code in ((1e-6, 0), (0.01, 4)):
        forged = row._replace(coherency=row.coherency - shift)
        writer = RunWriter(Path("two.db"))
        writer.execute(
            "UPDATE results SET coherency = ?, checksum = ? WHERE cell_id = 1 AND image_id = 5",
            (forged.coherency, row_checksum(forged, identity, image.path, image.content)),
        )
        with RunReader(Path("two.db")) as reader:
            writer.rows.sums.rebuild(*reader.rows.summed())
        writer.close()
        Path("merged.db").unlink(missing_ok=True)
        done = merged("one", "two")
        assert done.exit_code == code, done.stderr
    assert "one.db and two.db: resnet18/cam, image 5: coherency is" in done.stderr
    assert f"{row.coherency!r} in one and {forged.coherency!r} in the other" in done.stderr
    assert not list(folder.glob("*merged*"))


def test_other_weights_and_other_data_are_refused(folder: Path) -> None:
    made("one", METHODS[:1]), made("two", METHODS[:1]), made("three", METHODS[:1])
    writer = RunWriter(Path("two.db"))
    writer.execute("UPDATE backbones SET loaded = json_set(loaded, '$.sha256', 'x') WHERE id = 0")
    writer.close()
    done = merged("one", "two")
    assert (done.exit_code, "resnet18: sha256 is x" in done.stderr) == (4, True)
    writer = RunWriter(Path("three.db"))
    writer.execute("UPDATE run SET manifest_sha256 = 'y'")
    writer.close()
    done = merged("one", "three")
    assert (done.exit_code, "the data sets differ" in done.stderr) == (4, True)
    assert typed("merge", "one.db", "-o", "merged.db").exit_code == 2


def test_a_run_that_goes_on_is_not_merged(folder: Path) -> None:
    made("one", METHODS[:1]), made("two", METHODS[:1])
    with held(folder / "two.db"):
        done = merged("one", "two")
    assert (done.exit_code, "two is running" in done.stderr) == (3, True)


def test_weights_that_have_moved_are_known_by_their_hash(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "net.pth").write_bytes(b"")
        made(name, METHODS[1:2], backbones=[f"resnet18:weights={folder}/{name}/net.pth"])
    done = merged("one", "two")
    assert done.exit_code == 0, done.stderr
    with RunReader(Path("merged.db")) as reader:
        assert [spec.weights for spec in reader.plan().backbones] == [f"{folder}/one/net.pth"]


@pytest.mark.long
def test_a_merged_run_goes_on_and_grows(home: Path) -> None:
    begun = ask(home)[:-2]
    for name, method in (("one", "gradcam"), ("two", "scorecam")):
        done = typed(*begun, "-m", method, "-n", "6", "--name", name, "-q", "-F")
        assert done.exit_code == 0, done.stderr
    assert typed("merge", "one", "two", "-o", "both").exit_code == 0
    assert typed(*begun, "-m", "gradcam,scorecam", "-n", "6", "--name", "once", "-F").exit_code == 0
    grown = "gradcam,scorecam,gradcampp"
    for name in ("both", "once"):
        done = typed(*begun, "-m", grown, "-n", "9", "--name", name, "-q", "-F")
        assert done.exit_code == 0, done.stderr
    both, once = (typed("export", name, "--per-image").stdout for name in ("both", "once"))
    assert both == once
    assert len(both.splitlines()) == 1 + 27
    assert typed("doctor", "both").exit_code == 0
