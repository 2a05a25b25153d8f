from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed, validated
from tests.camtui.judging.runs import METHODS, judged_run, ordered
from tests.evaluator.execution.support import camtui
from tests.synthetic import make_run


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the run ``shapes``, which has truth, and ``val``, which has none."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    make_run(tmp_path / "runs" / "val.db", images=4)
    judged_run(tmp_path / "runs" / "shapes.db", ordered()).close()
    return tmp_path


@pytest.mark.usefixtures("judged")
def test_verdicts_for_people_and_all_tables_on_request() -> None:
    done = typed("judge", "shapes", "--draws", "50")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "The methods' order as in Mass Accuracy? Deletion most, τ" in lines[2]
    (header,) = [line.split() for line in lines if line.startswith("metric ")]
    assert header == ["metric", "τ", "mass", "halves"]
    assert "left out" not in done.stdout
    assert "[" not in done.stdout
    plain = typed("judge", "shapes", "-f", "plain", "--draws", "50").stdout
    assert "agreement with truth" in plain
    wide = typed("judge", "shapes", "--wide", "--draws", "50").stdout.splitlines()
    rows = [line for line in plain.splitlines() if "[" in line and "]" in line[-6:]]
    assert len(rows) > 4
    assert [row for row in [lines[2], *rows] if row not in [line.rstrip() for line in wide]] == []


@pytest.mark.usefixtures("judged")
def test_json_for_programs() -> None:
    found = validated("judge", typed("judge", "shapes", "--json", "--draws", "50", "--seed", "3"))
    assert (found["draws"], found["seed"], found["run"]["name"]) == (50, 3, "shapes")
    (one,) = found["backbones"]
    assert one["methods"] == list(METHODS)
    tau = next(a for a in one["agreement"] if a["metric"] == "deletion")["per_image"]
    assert tau["value"] == pytest.approx(1)


@pytest.mark.usefixtures("judged")
def test_latex_and_markdown_for_papers() -> None:
    latex = typed("judge", "shapes", "-f", "latex", "--draws", "50").stdout
    assert latex.isascii()
    assert latex.count(r"\begin{table}") == 2
    assert latex.count(r"\documentclass") == latex.count("\\camtuiend\n") == 1
    assert r"$\tau$ with Mass Accuracy" in latex
    markdown = typed("judge", "shapes", "-f", "md", "--draws", "50").stdout
    assert "| Metric | τ with Mass Accuracy |" in markdown


@pytest.mark.long
def test_from_nothing_to_a_judgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are drawn, two networks evaluated on them, the metrics judged."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    monkeypatch.delenv("CAMTUI_DRIVER", raising=False)
    shapes = tmp_path / "shapes"
    assert typed("synth", str(shapes), "-n", "10").exit_code == 0
    where = ["run", "--data", f"{shapes}/images", "--truth", f"{shapes}/masks", "--name", "shapes"]
    what = [
        "-b",
        "synthetic_cnn",
        "-b",
        "synthetic_cnn:weights=random:0",
        "-m",
        "gradcam,layercam,fakecam,wrongclass",
    ]
    done = camtui(*where, *what, "--metric", "mass_accuracy,rank_accuracy,deletion", "-F", "-q")
    assert done.returncode == 0, done.stderr
    with RunReader(tmp_path / "runs" / "shapes.db") as reader:
        rows = [(row, image) for row, image, _ in reader.rows.of_cell(reader.cells()[0].id)]
    assert len(rows) == 10
    assert sum(row.predicted == image.label for row, image in rows) >= 9
    (one,) = validated("judge", typed("judge", "shapes", "--json", "--draws", "50"))["backbones"]
    assert one["backbone"] == "synthetic_cnn"
    assert one["methods"] == ["gradcam", "layercam"]
    assert {agreement["per_image"]["n"] for agreement in one["agreement"]} == {10}
    found = {(s["metric"], s["against"]): s["noticed"]["value"] for s in one["sensitivity"]}
    assert found["rank_accuracy", "random weights"] > 0.8
    assert found["rank_accuracy", "wrong class"] > 0.6
