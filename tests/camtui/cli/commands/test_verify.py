"""``camtui verify``: real rows computed again elsewhere; what is forged, replaced or edited is
named; the probability that is stated is the one with which forged rows are found.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import pytest

from camtui.bundle import MANIFEST, fingerprint
from evaluator.measuring.recompute import row_difference
from evaluator.plan import RunPlan
from evaluator.store.audit import audit, caught, draw_rows
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.camtui.cli.support import typed, validated
from tests.evaluator.execution.support import ROOT
from tests.synthetic import make_run

METHOD = """
from camtui.extend import Method
class Mine(Method):
    key, title, paper = "mine", "Mine", "nobody"
    weighs_by = "nothing"
    def combine(self, view):
        return view.activation.sum(1)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a real run of 12 images, three methods and a curve, and its bundle."""
    home = tmp_path_factory.mktemp("verify")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMTUI_HOME", str(home / "maker"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("CAMTUI_DRIVER", raising=False)
        assert typed("synth", str(home / "syn"), "-n", "12").exit_code == 0
        done = typed(
            "run", "--data", str(home / "syn" / "images"), "-b", "synthetic_cnn",
            "-m", "gradcam,randomcam,fakecam", "--metric", "deletion", "--device", "cpu",
            "--name", "val", "-F",
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
        assert typed("bundle", "val", "-o", str(home / "bundle")).exit_code == 0
        yield home


@pytest.fixture
def elsewhere(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine's folder: the bundle, the images under other names, a home of its own."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ran / "bundle", tmp_path / "bundle")
    (tmp_path / "pictures").mkdir()
    for number, file in enumerate(sorted((ran / "syn" / "images").rglob("*.png"))):
        shutil.copyfile(file, tmp_path / "pictures" / f"{number}.png")
    return tmp_path


def sealed_again(bundle: Path, change: Callable[[RunWriter], None]) -> None:
    """Forge the run of a bundle with checksums, sums and manifest."""
    writer = RunWriter(bundle / "run.db")
    change(writer)
    with RunReader(bundle / "run.db") as reader:
        writer.rows.sums.rebuild(*reader.rows.summed())
    writer.execute("PRAGMA journal_mode=DELETE")
    writer.close()
    (bundle / "run.db.lock").unlink(missing_ok=True)
    manifest = json.loads((bundle / MANIFEST).read_text())
    with RunReader(bundle / "run.db") as reader:
        found = fingerprint(reader)
    manifest |= {"fingerprint": found.sha256, "fingerprint_of": found.to_dict()}
    manifest["files"] = {
        name: {"bytes": 0, "sha256": sha256((bundle / name).read_bytes()).hexdigest()}
        for name in manifest["files"]
    }
    manifest["versions"]["bundled_by"] = "camtui 0.0.0"
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def forge_row(writer: RunWriter, cell: int = 1, image: int = 3) -> None:
    """Another drop, with the checksum that fits it."""
    with closing(RunReader(writer.path)) as reader:
        row, ref = reader.rows.get(cell, image), reader.images.get(image)
        identity = reader.identities()[cell]
    assert row is not None
    forged = row._replace(average_drop=(row.average_drop or 0.0) / 2 + 0.2)
    from evaluator.store.checksums import row_checksum

    writer.execute(
        "UPDATE results SET average_drop = ?, checksum = ? WHERE cell_id = ? AND image_id = ?",
        (forged.average_drop, row_checksum(forged, identity, *ref[1:5:3]), cell, image),
    )


def verified(*words: str) -> dict[str, Any]:
    done = typed("verify", *words, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if found["verified"] else 5), done.stderr
    return found


@pytest.mark.long
def test_twenty_rows_of_a_bundle_come_out_again_elsewhere(elsewhere: Path) -> None:
    found = validated("verify", typed("verify", "bundle", "--data", "pictures", "--json"))
    assert (found["drawn"], found["agreed"], found["rows"]) == (20, 20, 36)
    assert found["problems"] == found["differing"] == []
    asked = ("--data", "pictures", "--seed", "4", "--recompute", "34")
    said = typed("verify", "bundle", *asked)
    assert said.exit_code == 0
    assert "34 of 34 rows computed again agree, of 36 (--seed 4)" in said.stderr
    assert "one row with 94 %" in said.stderr
    assert "15 % with 100 %" in said.stderr


def test_without_images_hashes_and_sums_alone_are_checked_and_that_is_said(
    elsewhere: Path,
) -> None:
    found = verified("bundle")
    assert (found["verified"], found["drawn"], found["caught"]) == (True, 0, [])
    assert "no row was computed again: hashes and sums only" in found["remarks"][0]


@pytest.mark.long
def test_a_row_forged_with_checksum_sums_and_manifest_is_found_by_computing(
    elsewhere: Path,
) -> None:
    sealed_again(elsewhere / "bundle", forge_row)
    with RunReader(elsewhere / "bundle" / "run.db") as reader:
        assert audit(reader) == []
        image = reader.images.get(3).path.decode()
    assert verified("bundle")["verified"]
    found = verified("bundle", "--data", "pictures", "--recompute", "100")
    (row,) = found["differing"]
    assert (row["method"], row["image"], row["metric"]) == ("gradcam", image, "average_drop")
    assert row["difference"] == pytest.approx(abs(row["stored"] - row["found"]))
    assert (found["agreed"], found["drawn"]) == (35, 36)


@pytest.mark.long
def test_a_replaced_image_is_named(elsewhere: Path, ran: Path) -> None:
    images = elsewhere / "images"
    shutil.copytree(ran / "syn" / "images", images)
    victim = sorted(images.rglob("*.png"))[0]
    victim.write_bytes(sorted(images.rglob("*.png"))[1].read_bytes())
    found = verified("bundle", "--data", "images", "--recompute", "1")
    (problem,) = found["problems"]
    assert str(victim.relative_to(images)) in problem
    assert "its bytes are not those" in problem


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("averages.csv", "averages.csv: not the file that the manifest has"),
        ("run.db", "run.db: not the file that the manifest has"),
        ("plan.toml", "plan.toml: not the file that the manifest has"),
    ],
)
def test_an_edited_file_is_named(elsewhere: Path, name: str, said: str) -> None:
    file = elsewhere / "bundle" / name
    file.write_bytes(file.read_bytes().replace(b"gradcam", b"gradCAM"))
    assert said in verified("bundle")["problems"]


def test_an_edited_plan_is_named_whatever_the_hashes_say(elsewhere: Path) -> None:
    def edit(writer: RunWriter) -> None:
        (text,) = writer.execute("SELECT plan FROM run").fetchone()
        plan = RunPlan.from_values({**json.loads(text), "seed": 7})
        writer.execute("UPDATE run SET plan = ?", (plan.to_json(),))

    sealed_again(elsewhere / "bundle", edit)
    (problem,) = verified("bundle")["problems"]
    assert problem.startswith("synthetic_cnn/gradcam, randomcam, fakecam: plan, network or method")


def test_a_plan_file_that_is_not_the_runs_is_named_whatever_its_hash_says(
    elsewhere: Path,
) -> None:
    bundle = elsewhere / "bundle"
    text = (bundle / "plan.toml").read_text().replace("seed = 0", "seed = 1")
    (bundle / "plan.toml").write_text(text)
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"]["plan.toml"]["sha256"] = sha256(text.encode()).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    assert verified("bundle")["problems"] == ["plan.toml: not what run.db gives"]


@pytest.mark.long
def test_other_weights_are_named(elsewhere: Path) -> None:
    def edit(writer: RunWriter) -> None:
        (text,) = writer.execute("SELECT loaded FROM backbones").fetchone()
        loaded = {**json.loads(text), "sha256": "0" * 64}
        writer.execute("UPDATE backbones SET loaded = ?", (json.dumps(loaded),))

    sealed_again(elsewhere / "bundle", edit)
    problems = verified("bundle", "--data", "pictures", "--recompute", "1")["problems"]
    assert any(one.startswith("synthetic_cnn: its weights: ") for one in problems)


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_what_would_change_the_run_is_no_part_of_a_bundle(elsewhere: Path, ending: str) -> None:
    (elsewhere / "bundle" / f"run.db{ending}").write_bytes(b"")
    assert any("would change" in one for one in verified("bundle")["problems"])


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"files": {"../../etc/passwd": {}}, "bundle_version": 1}')
    done = typed("verify", str(tmp_path))
    assert done.exit_code == 4
    assert "no manifest of a bundle" in done.stderr


@pytest.mark.long
def test_a_foreign_run_runs_no_code_that_was_not_allowed(
    elsewhere: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = elsewhere / "maker"
    maker.mkdir()
    (maker / "mine.py").write_text(METHOD)
    done = typed(
        "run", "--data", str(ran / "syn" / "images"), "-b", "synthetic_cnn", "-n", "3",
        "-m", f"gradcam,{maker}/mine.py:Mine", "--name", "own", "-F", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert typed("bundle", "own", "-o", "own").exit_code == 0
    assert not any(str(maker).encode() in file.read_bytes() for file in Path("own").iterdir())
    other = elsewhere / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    monkeypatch.setenv("CAMTUI_HOME", str(other / "home"))
    trap = f"open({str(other / 'ran')!r}, 'w').close()\n"
    (other / "mine.py").write_text(trap + METHOD)
    found = verified("../own", "--data", "../pictures")
    assert (found["drawn"], found["agreed"]) == (3, 3)
    assert any("mine.py" in one for one in found["remarks"])
    (other / "mine.py").write_text(METHOD)
    found = verified("../own", "--data", "../pictures")
    assert any("--allow-code" in one for one in found["remarks"])
    assert not (other / "ran").exists()
    found = verified("../own", "--data", "../pictures", "--allow-code")
    assert (found["drawn"], found["agreed"], found["verified"]) == (6, 6, True)


@pytest.mark.parametrize("count", [20, 100, pytest.param(300, marks=pytest.mark.long)])
def test_one_forged_row_among_a_thousand_is_found_as_often_as_is_said(
    tmp_path: Path, count: int
) -> None:
    path = make_run(
        tmp_path / "val.db", images=1000, backbones=["resnet18"], methods=["gradcam"],
        curves=False, failures=False, undefined=False,
    )  # fmt: skip
    with RunReader(path) as reader:
        true = {(row.cell, row.image): row for row in reader.rows.every_row()}
    writer = RunWriter(path)
    forge_row(writer, image=617)
    writer.close()
    found = 0
    with RunReader(path) as reader:
        stored = {(row.cell, row.image): row for row in reader.rows.every_row()}
        for seed in range(500):
            drawn = draw_rows(reader, count, Random(seed), {1}, range(1000))
            assert (len(set(drawn.pairs)), drawn.among) == (count, 1000)
            found += any(row_difference(stored[one], true[one], "fp32") for one in drawn.pairs)
    said = caught(0, count, 1000)
    assert said == pytest.approx(count / 1000)
    assert abs(found - 500 * said) < 3.5 * sqrt(500 * said * (1 - said))


def test_twenty_rows_show_fifteen_percent_of_forged_ones_with_96_percent() -> None:
    assert caught(0.15, 20, 10_000) == pytest.approx(0.96, abs=0.005)
    assert caught(0.5, 10, 10) == 1.0


@pytest.mark.parametrize("name", ["version1_lite0", "version2_lite0", "version3_torchvision"])
def test_a_run_of_an_earlier_version_is_bundled_and_verified(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    path = tmp_path / "early.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ROOT / "tests" / "data" / f"{name}.sql").read_text())
    assert typed("bundle", str(path), "-o", str(tmp_path / "bundle")).exit_code == 0
    found = [verified(str(one), "--recompute", "0") for one in (path, tmp_path / "bundle")]
    assert [one["problems"] for one in found] == [[], []]
    assert found[0]["fingerprint"] == found[1]["fingerprint"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundle", "early.db", "home"]
