"""Where runs are, and which folders their pictures may come from."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from camtui import runs
from camtui.cli.app import app
from camtui.tui.image_data import open_input
from evaluator.errors import NotFound, UsageError
from evaluator.records import ImageRef, Preprocessing
from tests.evaluator.store.runs import raw
from tests.synthetic import make_run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CAMTUI_DATA")


def make(name: str, time: float) -> Path:
    path = runs.run_path(name)
    path.touch()
    os.utime(path, (time, time))
    return path


def test_the_home_is_private_and_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs.runs_home() == tmp_path / "home" / "runs"
    assert stat.S_IMODE(runs.runs_home().stat().st_mode) == 0o700
    monkeypatch.delenv("CAMTUI_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert runs.runs_home() == tmp_path / "data" / "camtui" / "runs"
    monkeypatch.setenv("CAMTUI_HOME", "/dev/null/x")
    with pytest.raises(UsageError, match="cannot make"):
        runs.runs_home()


def test_runs_are_listed_by_when_a_driver_last_took_them() -> None:
    make("old", 100)
    make("new", 200)
    assert [path.stem for path in runs.list_runs()] == ["new", "old"]
    (runs.runs_home() / "old.db.lock").touch()
    assert [path.stem for path in runs.list_runs()] == ["old", "new"]
    assert runs.find_run().stem == "old"


def test_a_run_is_found_by_name_prefix_and_path(tmp_path: Path) -> None:
    path = make("imagenet-val", 1)
    make("imagenet-train", 2)
    make("demo", 3)
    elsewhere = tmp_path / "other.db"
    elsewhere.touch()
    assert runs.find_run("imagenet-val") == path
    assert runs.find_run("imagenet-v") == path
    assert runs.find_run(str(elsewhere)) == elsewhere
    assert runs.find_run("@last").stem == "demo"


def test_what_is_not_found_says_what_is_near() -> None:
    with pytest.raises(NotFound, match="no run yet") as caught:
        runs.find_run()
    assert caught.value.hint == "camtui run --demo"
    make("imagenet-val", 1)
    make("imagenet-train", 1)
    with pytest.raises(
        NotFound, match="2 runs begin with 'imagenet': imagenet-train, imagenet-val"
    ):
        runs.find_run("imagenet")
    with pytest.raises(NotFound) as caught:
        runs.find_run("imagnet-val")
    assert caught.value.hint == "did you mean 'imagenet-val'? list them: camtui ls"
    with pytest.raises(NotFound, match="no such run file"):
        runs.find_run("./nothing.db")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "../up",
        ".hidden",
        "-x",
        "a b",
        "x" * 101,
        "a\n",
        "数" * 90,
        "a\u202eb",
        "́a",
        "a$b",
        "a\x1b[2J",
    ],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError):
        runs.run_path(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ImageNet (val)", "ImageNet-val"),
        ("..", "run"),
        ("été", "été"),
        ("a_b-1.2", "a_b-1.2"),
        ("数据", "数据"),
        ("データ", "データ"),
        ("ünï códe 画像", "ünï-códe-画像"),
        ("हिन्दी", "हिन्दी"),
        ("e\u0301te", "éte"),
        ("画" * 120, "画" * 66),
        ("\u202ea\x1b[2J", "a-2J"),
    ],
)
def test_a_name_from_any_text(text: str, name: str) -> None:
    assert runs.name_for(text) == name
    runs.run_path(name)


def test_the_word_to_type_for_a_run(tmp_path: Path) -> None:
    assert runs.reference(runs.run_path("demo")) == "demo"
    assert runs.reference(tmp_path / "my run.db") == f"'{tmp_path}/my run.db'"


def test_a_file_that_has_just_gone_was_never_started(tmp_path: Path) -> None:
    assert runs.last_started(tmp_path / "gone.db") == 0.0


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
    source = open_input(tmp_path / "data", ImageRef(0, b"x.png", 1, None), Preprocessing())
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
