"""A few damaged files before every reading command; the campaign itself is ``damage.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from camtui.cli.app import app
from evaluator.errors import StoreError
from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
from tests.evaluator.store.damage import campaign
from tests.evaluator.store.runs import raw
from tests.synthetic import make_run


def test_no_traceback_and_nothing_undetected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    seen = campaign(tmp_path, 12, seed=1)
    assert seen.calls == 16 * seen.files
    assert seen.visible > 4
    assert (seen.tracebacks, seen.visible - seen.found, seen.missed) == (0, 0, [])


def test_what_nobody_raised_on_purpose_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    path = make_run(tmp_path / "run.db", images=4, backbones=["resnet18"], methods=["gradcam"])
    raw(path, "UPDATE backbones SET loaded = '[1]'")
    result = CliRunner().invoke(app, ["show", str(path)])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: AttributeError: ")
    assert "camtui doctor RUN" in result.stderr
    monkeypatch.setenv("CAMTUI_TRACEBACK", "1")
    assert isinstance(CliRunner().invoke(app, ["show", str(path)]).exception, AttributeError)


def test_a_chart_of_curves_refuses_one_that_was_changed(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run.db", images=8, backbones=["resnet18"], methods=["gradcam"])
    words = ["figure", str(path), "deletion", "-o", str(tmp_path / "figure.svg"), "--force"]
    assert CliRunner().invoke(app, words).exit_code == 0
    raw(path, "UPDATE measurements SET curve = zeroblob(58) WHERE image_id = 3")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == StoreError.exit_code
    assert "deletion of image 3 in resnet18/gradcam is not what was written" in result.stderr


def test_no_command_shows_averages_of_damaged_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    path = make_run(tmp_path / "run.db", images=8, backbones=["resnet18"], methods=["gradcam"])
    raw(path, "UPDATE sums SET total = total * 2 WHERE a = 'coherency' AND b = ''")
    for words in (["table", str(path)], ["export", str(path), "-f", "json"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == StoreError.exit_code, (words, result.output)
        assert "the running sums of resnet18/gradcam are not what was written" in result.stderr
        assert "--repair" in result.stderr
    assert CliRunner().invoke(app, ["doctor", str(path), "--repair"]).exit_code == 0
    assert CliRunner().invoke(app, ["table", str(path)]).exit_code == 0


def test_whoever_computes_refuses_a_row_that_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    methods = ["gradcam", "gradcampp"]
    path, other = (
        make_run(tmp_path / name, images=30, backbones=["resnet18"], methods=methods)
        for name in ("run.db", "other.db")
    )
    figure = str(tmp_path / "figure.svg")
    commands = (
        ["export", str(path), "--verify"],
        ["compare", str(path), str(other)],
        ["table", str(path)],
        ["table", str(path), "--by", "correct"],
        ["export", str(path), "-f", "latex"],
        ["figure", str(path), "convergence", "-o", figure, "--force"],
        ["worst", str(path), "--cell", "resnet18/gradcam", "-n", "30"],
    )
    for words in commands:
        assert CliRunner().invoke(app, words).exit_code == 0, words
    raw(path, "UPDATE results SET coherency = 0.5 WHERE image_id = 3 AND cell_id = 1")
    for words in commands:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == StoreError.exit_code, (words, result.output)
        assert "the row of image 3 in resnet18/gradcam is not what was written" in result.stderr
        assert f"camtui doctor {path} --repair" in result.stderr.replace("\n", " ")
    with RunReader(path) as reader:
        assert "resnet18/gradcam, image 3: the row is not what was written" in audit(reader)
