"""Runs of earlier schemas, kept as SQL in ``tests/data``: they are read, gone on with, and right.

Of version 1, one by the fake evaluator over six images, one of them bad, with two methods and
deletion. Of versions 1 and 2, one each by the real evaluator on EfficientNet-Lite0 and two drawn
images, with Grad-CAM and deletion. Of version 3, one on two networks of torchvision with weights of
a user's, and one on the first of these images with ``smoothgradcampp:variant=paper`` at a layer
within the network, ARCC, ROAD, and insertion from ``blur``: what these words meant then has other
names now.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from camtui.export import provenance
from camtui.format.table import summary_table
from camtui.status import read_status
from evaluator.errors import Mismatch
from evaluator.records import Measurement, Preprocessing, UnitResult
from evaluator.store import audit, schema
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import ROOT, Run, complete, make_data
from tests.evaluator.store.runs import empty_run, raw

KEPT = ROOT / "tests" / "data" / "version1.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The kept run as a file, its data folder beside it."""
    data = make_data(tmp_path / "data", 6, bad=1)
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(KEPT.read_text())
        connection.execute("UPDATE run SET plan = json_set(plan, '$.data', ?)", (str(data),))
        connection.commit()
    return path


def test_it_is_a_file_of_version_1(old: Path) -> None:
    assert raw(old, "PRAGMA user_version") == [(1,)]
    assert raw(old, "PRAGMA application_id") == [(schema.APPLICATION_ID,)]


def test_it_is_read_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with RunReader(old) as reader:
        status = read_status(reader, old)
        assert audit.audit(reader) == []
        assert [summary.n for summary in reader.averages.summaries()] == [5, 5]
    assert (status.state, status.images, status.failures) == ("complete", 6, 2)
    assert old.read_bytes() == before


def test_it_is_copied_before_it_is_changed(old: Path) -> None:
    RunWriter(old).close()
    assert raw(old, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    backup = old.with_name("old.db.v1")
    assert backup.exists() == (schema.SCHEMA_VERSION > 1)
    assert not backup.exists() or raw(backup, "SELECT count(*) FROM results") == [(10,)]


@pytest.mark.parametrize("kept", sorted(KEPT.parent.glob("version*.sql")), ids=lambda it: it.stem)
def test_whoever_has_it_open_sees_that_coherency_may_be_missing(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "old.db"
    query = "SELECT count(*) FROM results WHERE coherency IS NOT NULL"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(kept.read_text())
        assert connection.execute(query).fetchone() > (0,)
        RunWriter(path).close()
        raw(path, "UPDATE results SET coherency = NULL")
        assert connection.execute(query).fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_it_goes_on_with_another_method(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({}))
    with RunReader(old) as reader:
        plan = reader.plan()
        before = list(reader.rows.every_row())
    run = Run(old, replace(plan, methods=(*plan.methods, "gradcampp")))
    complete(run)
    with RunReader(old) as reader:
        assert [row for row in reader.rows.every_row() if row.cell in (1, 2)] == before
        assert [summary.n for summary in reader.averages.summaries()] == [5, 5, 5]


def test_its_records_get_checksums_on_request(old: Path) -> None:
    RunWriter(old).close()
    with RunReader(old) as reader:
        assert audit.audit(reader) == []
        assert "an older camtui began" in audit.remark(reader)
        rows = sum(1 for _ in reader.rows.every_row()) + sum(
            1 for _ in reader.rows.every_measurement()
        )
    assert audit.seal(old) == rows
    with RunReader(old) as reader:
        assert audit.audit(reader) == []
        assert audit.remark(reader) == ""
    assert raw(old, "SELECT count(*) FROM results WHERE checksum IS NULL") == [(0,)]
    raw(
        old,
        "UPDATE results SET coherency = 1 WHERE cell_id = 1 AND image_id = (SELECT "
        "min(image_id) FROM results)",
    )
    with RunReader(old) as reader:
        assert len(audit.audit(reader)) > 1


def test_it_is_read_without_checksums_before_it_is_changed(old: Path) -> None:
    with RunReader(old) as reader:
        maps, damaged = reader.rows.stored_maps([1, 2], 0, 5)
        assert len(maps) == 10
        assert not damaged
        assert reader.images.get(0).content is None


# -- by the real evaluator
# --------------------------------------------------------------------------------------------------

REAL = {
    1: ROOT / "tests" / "data" / "version1_lite0.sql",
    2: ROOT / "tests" / "data" / "version2_lite0.sql",
    3: ROOT / "tests" / "data" / "version3_lite0.sql",
}


def drawn(number: int) -> bytes:
    """An image of squares on their corners, as the kept run saw it."""
    random, width, height = Random(number), 260, 240
    blobs = [
        (
            random.randrange(width),
            random.randrange(height),
            random.randrange(20, 90),
            [random.randrange(256) for _ in range(3)],
        )
        for _ in range(12)
    ]
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            over = [
                colour for left, top, size, colour in blobs if abs(x - left) + abs(y - top) < size
            ]
            pixels += bytes(over[-1] if over else [90, 110, 130])
    return b"P6 %d %d 255\n" % (width, height) + bytes(pixels)


def real(folder: Path, version: int) -> Path:
    """The run of that version that the real evaluator made, with its images beside it."""
    (folder / "data").mkdir()
    for number in range(2):
        (folder / f"data/{number}.ppm").write_bytes(drawn(number))
    path = folder / "real.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(REAL[version].read_text())
        connection.commit()
    return path


def asked_again(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``camtui run`` on that run and its images, in the foreground."""
    fixed = ("--db", str(path), "--data", str(path.parent / "data"))
    return subprocess.run(
        [sys.executable, "-m", "camtui", "run", *fixed, *words, "-F", *COMPUTE],
        env=os.environ | {"PYTHONPATH": str(ROOT), "CAMTUI_HOME": str(path.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


COMPUTE = ("--device", "cpu", "--batch-size", "8")


@pytest.mark.long
@pytest.mark.parametrize(
    ("version", "backbones"),
    [(1, "efficientnet_lite0,efficientnet_lite1"), (2, "efficientnet_lite0")],
)
def test_a_real_one_goes_on_and_grows_with_the_numbers_it_had(
    tmp_path: Path, version: int, backbones: str
) -> None:
    path = real(tmp_path, version)
    assert raw(path, "PRAGMA user_version") == [(version,)]
    with RunReader(path) as reader:
        assert audit.audit(reader) == []
        loaded = reader.backbones()["efficientnet_lite0"]
        kept = list(reader.rows.every_row())
    assert loaded is not None
    assert loaded.preprocessing == Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    assert (loaded.cut, loaded.score, loaded.classes[0]) == ("graph", "softmax", "tench")
    identities = raw(path, "SELECT identity FROM cells")
    words = [
        "-b",
        backbones,
        "-m",
        "gradcam,layercam",
        "--metric",
        "deletion",
    ]
    done = asked_again(path, *words, "-q")
    assert done.returncode == 0, done.stderr
    with RunReader(path) as reader:
        rows = {
            (cell.backbone, cell.method): [
                row for row in reader.rows.every_row() if row.cell == cell.id
            ]
            for cell in reader.cells()
        }
        sides = {name: one.preprocessing.side for name, one in reader.backbones().items() if one}
    expected = {"efficientnet_lite0": 224, "efficientnet_lite1": 240}
    assert sides == {name: expected[name] for name in backbones.split(",")}
    assert rows["efficientnet_lite0", "gradcam"] == kept
    assert {len(found) for found in rows.values()} == {2}
    assert raw(path, "SELECT identity FROM cells")[0] == identities[0]
    for old, new in zip(kept, rows["efficientnet_lite0", "layercam"], strict=True):
        assert (old.target, old.predicted) == (new.target, new.predicted)
        assert old.y == pytest.approx(new.y, abs=1e-6), "the same pixels through the same network"


TORCHVISION = ROOT / "tests" / "data" / "version3_torchvision.sql"


def drawn_weights(key: str, classes: int, last: float) -> dict[str, torch.Tensor]:
    """Weights by arithmetic alone, as the kept run saw them; the last layer's are scaled."""
    options = {"init_weights": False} if key == "googlenet" else {}
    with torch.device("meta"):
        state = models.get_model(key, num_classes=classes, **options).state_dict()
    filled = {}
    for place, (name, tensor) in enumerate(state.items()):
        count, shape = tensor.numel(), tensor.shape
        if tensor.ndim > 1:
            scale = 6.6 / math.sqrt(count / shape[0]) * (last if shape[0] == classes else 1)
            values = (torch.arange(count) + 1000003 * place) * 2654435761 % 2**32 // 2**16
            filled[name] = ((values / 2**16 - 0.5) * scale).float().reshape(shape)
        else:
            one = name.endswith(("running_var", ".weight"))
            filled[name] = torch.full(shape, 1 if one else 0, dtype=tensor.dtype)
    return filled


@pytest.mark.long
def test_networks_of_torchvision_go_on_with_the_preprocessing_that_their_rows_had(
    tmp_path: Path,
) -> None:
    """Of a version that resized every image to 224, and set no ``transform_input`` for a file.

    A backbone that is added to the run is shown what torchvision publishes.
    """
    (tmp_path / "data").mkdir()
    for number in range(2):
        (tmp_path / f"data/{number}.ppm").write_bytes(drawn(number))
    path, names = tmp_path / "old.db", {}
    for key, last in (("squeezenet1_1", 2000), ("googlenet", 150)):
        save_file(drawn_weights(key, 5, last), tmp_path / f"{key}.safetensors")
        names[key] = f"{key}:weights={key}.safetensors"
    kept = TORCHVISION.read_text().replace("/tmp/weights-old", str(tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(kept)
        connection.commit()
    with RunReader(path) as reader:
        before = list(reader.rows.every_row())
    identities = raw(path, "SELECT identity FROM cells ORDER BY id")
    files = [f"{key}:weights={tmp_path}/{key}.safetensors" for key in names]
    words = ["--db", str(path), "--data", str(tmp_path / "data")]
    words += ["-b", ",".join([*files, "mobilenet_v3_small:weights=random:0"])]
    words += ["-m", "gradcam,layercam", "-F", "-q", "--device", "cpu", "--batch-size", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "camtui", "run", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "CAMTUI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with RunReader(path) as reader:
        loaded = {name: one.preprocessing for name, one in reader.backbones().items() if one}
        rows = list(reader.rows.every_row())
        cells = {(cell.backbone, cell.method): cell.id for cell in reader.cells()}
        said = [event.text for event in reader.events()]
    assert [row for row in rows if row.cell in (1, 2)] == before
    assert raw(path, "SELECT identity FROM cells ORDER BY id")[:2] == identities
    for name in names.values():
        assert loaded[name] == Preprocessing()
        old, new = (
            [row for row in rows if row.cell == cells[name, method]]
            for method in ("gradcam", "layercam")
        )
        for one, other in zip(old, new, strict=True):
            assert one.y == pytest.approx(other.y, abs=1e-5), "the same pixels, the same network"
    assert loaded["mobilenet_v3_small:weights=random:0"] == Preprocessing(resize=256)
    remarks = [text for text in said if "goes on as its rows were made" in text]
    assert len(remarks) == 2
    assert "googlenet.safetensors goes on as its rows were made (resize 224, no tran" in remarks[1]


# -- words that meant another formula
# --------------------------------------------------------------------------------------------------

FORMER, NOW = "smoothgradcampp:variant=paper", "smoothgradcampp:variant=mean-gradient"
IDENTITY = "012359b76a166ca877ccccca43f95334cddc309a19fc4540b6c89c2b6c1cf2b7"


@pytest.mark.parametrize("written", [False, True])
def test_its_words_are_said_in_those_of_today(tmp_path: Path, written: bool) -> None:
    path = real(tmp_path, 3)
    before = path.read_bytes()
    if written:
        RunWriter(path).close()
    with RunReader(path) as reader:
        plan = reader.plan()
        assert [cell.method for cell in reader.cells()] == list(plan.methods) == [NOW]
        assert (plan.road_noise, plan.insertion_start) == ("normalised", "blur-torchvision")
        assert reader.keeps_earlier_words()
        assert audit.audit(reader) == []
    assert written or path.read_bytes() == before
    assert raw(path, "SELECT method, identity FROM cells") == [
        (NOW if written else FORMER, IDENTITY)
    ]


def test_its_tables_and_exports_say_which_were_used(tmp_path: Path) -> None:
    path = real(tmp_path, 3)
    with RunReader(path) as reader:
        text = "\n".join([*summary_table(reader).notes, *provenance(reader)])
    for words in (
        "ROAD's noise after normalisation, as earlier versions of camtui did",
        "insertion starts from torchvision's blur, not RISE's",
        f"{NOW} is what earlier versions called variant=paper",
    ):
        assert text.count(words) == 2


def test_names_change_only_in_records_that_are_what_was_written(tmp_path: Path) -> None:
    path = real(tmp_path, 3)
    raw(path, "UPDATE cells SET applicable = 0")
    raw(path, f"UPDATE cells SET note = 'identical to {FORMER} by construction'")
    RunWriter(path).close()
    (row,) = raw(path, "SELECT method, note FROM cells")
    assert row == (NOW, f"identical to {NOW} by construction")
    with RunReader(path) as reader:
        assert list(reader.checks.damaged_records()) == [("cells", (1,))]


def test_sealing_does_not_make_it_a_run_of_today(old: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    for path in (old, real(tmp_path / "real", 3)):
        RunWriter(path).close()
        audit.seal(path)
        with RunReader(path) as reader:
            assert audit.remark(reader) == ""
            assert reader.keeps_earlier_words()


def test_a_run_of_today_means_what_it_says(tmp_path: Path) -> None:
    empty_run(tmp_path / "new.db", methods=[FORMER], insertion_start="blur")
    with RunReader(tmp_path / "new.db") as reader:
        assert not reader.keeps_earlier_words()
        assert [cell.method for cell in reader.cells()] == [FORMER]
        assert (reader.plan().road_noise, reader.plan().insertion_start) == ("pixels", "blur")


WORDS = ("-b", "efficientnet_lite0:layer=_blocks.14", "-m", FORMER, "--metric", "insertion,arcc",
         "--insertion-start", "blur", "--all")  # fmt: skip

SECOND = {
    "coherency": 0.665592417565556,
    "complexity": 0.128770097063816,
    "adcc": 0.0267405928082139,
    "insertion": 0.0811615400321387,
    "road": 0.0142257033312039,
    "arcc": 0.0793695503254644,
}
"""Of the second image, by the version that began the run."""


@pytest.mark.long
def test_the_same_command_goes_on_with_the_formulas_that_it_began_with(tmp_path: Path) -> None:
    path = real(tmp_path, 3)
    with RunReader(path) as reader:
        rows, measurements = list(reader.rows.every_row()), list(reader.rows.every_measurement())
    done = asked_again(path, *WORDS)
    assert done.returncode == 0, done.stderr
    with RunReader(path) as reader:
        assert [cell.method for cell in reader.cells()] == [NOW]
        assert [one for one in reader.rows.every_row() if one.image == 0] == rows
        assert [one for one in reader.rows.every_measurement() if one.image == 0] == measurements
        row = reader.rows.get(1, 1)
        measured = {
            one.metric: one.value for one in reader.rows.every_measurement() if one.image == 1
        }
        said = [event.text for event in reader.events() if "goes on as it was begun" in event.text]
        assert audit.audit(reader) == []
    assert row is not None
    new = {name: getattr(row, name) for name in ("coherency", "complexity", "adcc")} | measured
    assert new == pytest.approx(SECOND, abs=1e-4)
    assert raw(path, "SELECT method, identity FROM cells") == [(NOW, IDENTITY)]
    assert len(said) == 3
    assert all(text.partition(": ")[2] in done.stderr for text in said)

    refused = asked_again(path, *WORDS, "--road-noise", "pixels")
    assert refused.returncode == Mismatch.exit_code
    assert "road_noise: normalised → pixels" in refused.stderr


def test_what_is_measured_from_its_rows_stays_sound_when_their_files_become_known(
    old: Path,
) -> None:
    ((cell, image),) = raw(old, "SELECT cell_id, image_id FROM results ORDER BY 1, 2 LIMIT 1")
    writer = RunWriter(old)
    # from the stored map: no file is read
    measured = Measurement(cell, image, "sparseness", 0.5, b"")
    assert writer.rows.commit(UnitResult(measurements=(measured,))) == 1
    writer.rows.commit(UnitResult(contents={image: bytes(32)}))  # a later method decodes the image
    writer.close()
    with RunReader(old) as reader:
        assert list(reader.checks.damaged_rows()) == []
