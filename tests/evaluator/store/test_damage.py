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


def test_export_and_compare_refuse_a_row_that_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    path = make_run(tmp_path / "run.db", images=8, backbones=["resnet18"], methods=["gradcam"])
    other = make_run(tmp_path / "other.db", images=8, backbones=["resnet18"], methods=["gradcam"])
    assert CliRunner().invoke(app, ["export", str(path), "--verify"]).exit_code == 0
    raw(path, "UPDATE results SET coherency = 0.5 WHERE image_id = 3")
    for words in (["export", str(path), "--verify"], ["compare", str(path), str(other)]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == StoreError.exit_code, result.output
        assert "the row of image 3 in cell 1 is not what was written" in result.stderr
    with RunReader(path) as reader:
        assert "cell 1, image 3: the row is not what was written" in audit(reader)
