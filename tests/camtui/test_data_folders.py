"""Pictures come from folders that this user has named, whatever a run's file says."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from camtui import runs
from camtui.cli.app import app
from camtui.tui.image_data import open_input
from evaluator.errors import NotFound
from evaluator.records import ImageRef, Preprocessing
from tests.evaluator.store.runs import raw
from tests.synthetic import make_run


@pytest.fixture(autouse=True)
def _a_home_that_knows_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CAMTUI_DATA")


def test_a_received_run_shows_nothing_until_its_folder_is_named(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run.db", images=4, backbones=["resnet18"], methods=["gradcam"], pictures=True
    )
    words = ["image", str(run), "resnet18/gradcam", "0", "-o", str(tmp_path / "a.png")]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 4
    assert "which you have not named" in refused.stderr
    assert f"--data {tmp_path / 'data'}" in refused.stderr
    assert not (tmp_path / "a.png").exists()
    source = open_input(str(tmp_path / "data"), ImageRef(0, b"x.png", 1, None), Preprocessing())
    assert source.pixels is None
    assert "not shown" in source.problem
    assert CliRunner().invoke(app, [*words, "--data", str(tmp_path / "data")]).exit_code == 0
    assert CliRunner().invoke(app, [*words, "--force"]).exit_code == 0


def test_a_plan_that_says_root_reaches_nothing(tmp_path: Path) -> None:
    runs.remember(tmp_path)
    run = make_run(
        tmp_path / "run.db", images=4, backbones=["resnet18"], methods=["gradcam"], pictures=True
    )
    raw(run, "UPDATE run SET plan = json_set(plan, '$.data', '/')")
    refused = CliRunner().invoke(
        app, ["image", str(run), "resnet18/gradcam", "0", "-o", str(tmp_path / "a.png")]
    )
    assert refused.exit_code == 4
    assert "images are in /, which you have not named" in refused.stderr


def test_a_folder_in_a_named_one_is_named_and_links_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "val").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    runs.remember(tmp_path / "link")
    runs.refuse_unnamed(str(tmp_path / "data" / "val"))
    for other in (tmp_path, tmp_path / "data2", Path("/")):
        with pytest.raises(NotFound, match="have not named"):
            runs.refuse_unnamed(str(other))
    monkeypatch.setenv("CAMTUI_DATA", f"/nowhere:{tmp_path}")
    runs.refuse_unnamed(str(tmp_path))
    (tmp_path / "home" / "data-folders.json").write_text("{broken")
    assert runs.known() == ["/nowhere", str(tmp_path)]
