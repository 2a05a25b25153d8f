"""``camtui run`` as a user types it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from evaluator.store.files import lock_holder
from tests.camtui.cli.support import SECONDS, ask, typed
from tests.evaluator.execution.support import COMMAND, make_data, wait_until_gone
from tests.synthetic import make_run


def test_a_run_in_a_pipe_reports_on_stderr_and_ends_with_the_table(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", '{"seconds": 0.2}')
    result = typed(*ask(home))
    assert result.exit_code == 0, result.stderr
    assert "gradcam" in result.stdout
    assert "running" not in result.stdout
    lines = result.stderr.splitlines()
    assert any(line.startswith("pictures: running · stage 1/2") for line in lines)
    assert lines[-1].startswith("pictures: complete · 12 images in")
    assert "\x1b" not in result.stdout + result.stderr
    again = typed(*ask(home), "-q")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == result.stdout


def test_detached_json_is_one_line(home: Path) -> None:
    result = typed(*ask(home), "-d", "--json")
    handoff = json.loads(result.stdout)
    assert handoff["run"] == "pictures"
    assert handoff["watch"] == "camtui watch pictures"
    assert Path(handoff["db"]).exists()
    assert typed("wait", "--timeout", "300s").exit_code == 0
    assert Path(handoff["log"]).exists()


def test_followed_json_is_the_hand_off_and_the_end(home: Path) -> None:
    first, last = map(json.loads, typed(*ask(home), "--json").stdout.splitlines())
    assert first["run"] == last["run"] == "pictures"
    assert (last["state"], last["progress"], last["failures"]) == ("complete", 1.0, 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_in_the_foreground_a_signal_ends_it_and_is_told(
    home: Path, closed: Path, number: int, code: int
) -> None:
    with subprocess.Popen(
        [*COMMAND, *ask(home), "-F"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        while b"started" not in process.stderr.readline():
            pass
        process.send_signal(number)
        while b"stopping" not in process.stderr.readline():
            pass
        closed.unlink()
        process.stderr.read()
    assert process.returncode == code
    assert typed("status", "--check").exit_code == 3


def test_ctrl_c_while_following_leaves_the_run_alone(home: Path, closed: Path) -> None:
    assert closed.exists()
    with subprocess.Popen(
        [*COMMAND, *ask(home)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        while b"running" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
    assert process.returncode == 130
    assert "the run goes on: camtui watch pictures; to end it: camtui stop pictures" in rest
    driver = lock_holder(home / "runs" / "pictures.db")
    assert driver is not None
    assert typed("stop", "--now", "-y").exit_code == 0
    wait_until_gone(driver)


def test_the_dry_run_starts_nothing(home: Path) -> None:
    result = typed(*ask(home), "--dry-run")
    assert "12 of 12 images" in result.stdout
    assert "Score-CAM: 4,098 passes an image" in result.stdout
    assert "time      not known: nothing was timed here" in result.stdout
    assert not list((home / "runs").iterdir())
    plan = json.loads(typed(*ask(home), "--dry-run", "--json").stdout)
    assert plan["forwards"] == 12 * (2 + 4098)


@pytest.mark.parametrize("words", [["--dry-run"], []])
def test_a_network_of_ones_own_is_looked_for_before_anything_starts(
    home: Path, words: list[str]
) -> None:
    (home / "net.py").write_text("def build():\n    raise SystemExit")
    own = ["run", "--data", str(home / "pictures"), "-m", "gradcam", "-b"]
    result = typed(*own, f"{home}/net.py:bild", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == "hint:  did you mean 'build'? it has build"
    assert not (home / "runs" / "pictures.db").exists()
    said = typed(*own, f"{home}/net.py:build", *words)
    assert (
        "net.py:build: weights as its code makes them; :weights=FILE loads others"
        in said.stdout + said.stderr
    )


@pytest.mark.parametrize("words", [["--dry-run"], []])
def test_a_target_without_labels_is_refused_by_run_and_dry_run(
    home: Path, words: list[str]
) -> None:
    """The pictures lie in a flat folder: no network can give them a label."""
    result = typed(*ask(home), "--target", "label", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-2:] == [
        "error: --target label needs labels, and no image has one",
        "hint:  camtui run --labels FILE.csv, or folders named by wnid",
    ]
    assert not (home / "runs" / "pictures.db").exists()


@pytest.mark.parametrize("words", [["--dry-run"], []])
def test_images_that_would_share_a_map_are_refused_by_run_and_dry_run(
    home: Path, words: list[str]
) -> None:
    image = min((home / "pictures").iterdir())
    image.with_suffix(".png").write_bytes(b"xx")
    (home / "maps").mkdir()
    np.save(home / "maps" / f"{image.stem}.npy", np.ones((2, 2)))
    asked = [*ask(home), "-m", f"maps:{home / 'maps'}"]
    result = typed(*asked, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "would both have the map" in result.stderr.splitlines()[-2]
    assert not (home / "runs" / "pictures.db").exists()


def test_the_dry_run_says_which_labels_are_known(home: Path) -> None:
    folder = home / "pictures" / "cats"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"xx")
    result = typed(*ask(home), "--target", "label", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert (
        "labels    0 of 13 images by file or ImageNet id; folders named like a class count once "
        "resnet50 is loaded\n" in result.stdout
    )


def test_files_that_are_left_out_are_said_by_run_dry_run_and_show(home: Path) -> None:
    copies = home / "pictures" / ".ipynb_checkpoints"
    copies.mkdir()
    for number in range(3):
        (copies / f"{number}-checkpoint.jpg").write_bytes(b"xx")
    said = "left out: 3 files in hidden or system folders (.ipynb_checkpoints)"
    planned = typed(*ask(home), "--dry-run")
    assert "12 of 12 images" in planned.stdout
    assert said in planned.stderr.splitlines()
    done = typed(*ask(home))
    assert done.exit_code == 0, done.stderr
    assert said in done.stderr.splitlines()
    about = typed("show").stdout
    assert said.replace("left out: ", "left out    ") in about.splitlines()
    assert "labels      0 of 12 images: a flat folder: --labels FILE.csv gives them" in about
    assert said in typed("logs").stdout


def test_labels_beyond_the_classes_are_refused_before_anything_is_computed(home: Path) -> None:
    names = sorted(file.name for file in (home / "pictures").iterdir())
    (home / "labels.csv").write_text(f"{names[0]},999\n{names[1]},1000\n")
    result = typed(*ask(home), "--labels", str(home / "labels.csv"))
    assert result.exit_code == 2
    assert "labels.csv, line 2: 1000 is no class of resnet50, which has 1,000 classes" in (
        result.stderr
    )
    assert not (home / "runs" / "pictures.db").exists()


def test_the_dry_run_counts_what_is_there_and_says_how_the_run_would_grow(home: Path) -> None:
    assert typed(*ask(home), "-n", "8", "-q").exit_code == 0
    again = typed(*ask(home), "-n", "8", "--dry-run").stdout
    assert "time      about 0s on 1 worker, by earlier runs on this machine" in again
    assert "is there  it goes on" in again
    assert "Score-CAM: 18 passes an image, 0 images to do" in again, (
        "the fake backbone has 8 channels, and was loaded"
    )
    assert "passes    0" in again
    every = typed(*ask(home), "--dry-run").stdout
    assert "all images instead of the first 8, for every method it has" in every
    assert "12 of 12 images" in every
    plan = json.loads(typed(*ask(home), "--dry-run", "--json").stdout)
    assert plan["forwards"] == 4 * (2 + 18)
    assert [stage["images_to_do"] for stage in plan["stages"]] == [4, 4]
    assert plan["seconds"] > 0
    more = typed(*ask(home)[:-1], "gradcam,layercam", "-n", "8", "--dry-run").stdout
    assert "images to do: layercam 8" in more, "only what is still to do, method by method"
    fewer = typed(*ask(home), "-n", "4", "--dry-run").stdout
    assert "it keeps the first 8, a run does not shrink: another --name for 4" in fewer
    other = typed(*ask(home), "--seed", "1", "--dry-run")
    assert (other.exit_code, "seed: 0 → 1" in other.stderr) == (4, True)


def test_a_run_that_grows_says_so_before_it_starts(home: Path) -> None:
    assert typed(*ask(home)[:-1], "gradcam", "-n", "8").exit_code == 0
    grows = typed(*ask(home), "--all")
    said = (
        "pictures is there already: all images instead of the first 8, for "
        "every method it has; new method scorecam"
    )
    assert grows.stderr.splitlines()[0] == said
    assert "is there already" not in typed(*ask(home)).stderr


def test_a_file_that_cannot_be_written_is_refused(home: Path) -> None:
    result = typed(*ask(home), "--db", "/proc/x.db")
    assert (result.exit_code, result.stdout) == (2, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: cannot write")
    assert hint.startswith("hint:  ")


def test_an_error_as_json(home: Path) -> None:
    result = typed("run", "--data", "/nowhere", "-b", "resnet50", "--json")
    assert json.loads(result.stdout)["error"]["kind"] == "usage"
    assert result.exit_code == 2


def test_weights_that_are_missing_leave_no_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", '{"unavailable": ["resnet50"]}')
    result = typed(*ask(home))
    assert result.exit_code == 1
    assert result.stderr == "error: no weights for resnet50\nhint:  put them there\n"
    assert not list((home / "runs").iterdir())


def test_a_file_that_cannot_be_written_is_an_error(home: Path) -> None:
    result = typed(*ask(home), "--db", "/proc/x.db")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cannot write")


def test_in_a_terminal_without_the_dashboard(home: Path) -> None:
    """A real pseudo-terminal; ``--no-watch``."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *ask(home), "--no-watch"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        seen = b""
        limit = time.monotonic() + SECONDS
        while b"ADCC" not in seen and time.monotonic() < limit:
            seen += os.read(ours, 4096)
        process.wait(SECONDS)
    os.close(ours)
    assert process.returncode == 0
    assert b"pictures: complete" in seen


def test_the_dry_run_leaves_out_cells_that_cannot_be_and_warns_of_the_folder(home: Path) -> None:
    (home / "pictures" / "loop").symlink_to(home / "pictures")
    shown = typed(*f"run --data {home}/pictures -b vgg16 -b resnet18 -m cam --dry-run".split())
    assert shown.exit_code == 0
    assert [line.split()[2] for line in shown.stdout.splitlines() if line.startswith("stage ")] == [
        "resnet18"
    ]
    assert "warning:" in shown.stderr


@pytest.mark.parametrize(
    "words", [[], ["-q"], ["--json"], ["-d"], ["-F"], ["--metric", "deletion:steps=28"]]
)
def test_a_complete_run_is_shown_and_stays_as_it_is(home: Path, words: list[str]) -> None:
    request = [*ask(home), "--metric", "deletion"]
    assert typed(*request, "-q").exit_code == 0
    file = home / "runs" / "pictures.db"
    before = file.read_bytes()
    again = typed(*request, *words)
    assert again.exit_code == 0, again.stderr
    assert file.read_bytes() == before
    said = "pictures is complete, nothing is left to compute"
    assert (said in again.stderr) == (words != ["-q"])
    assert typed("resume", "-q").exit_code == 0
    assert file.read_bytes() == before


def test_a_complete_run_grows_by_what_is_new(home: Path) -> None:
    first = typed(*ask(home), "-q")
    more = typed(*ask(home), "--metric", "deletion")
    assert (more.exit_code, more.stdout != first.stdout) == (0, True)
    assert "pictures is there already: new metric deletion" in more.stderr
    make_data(home / "pictures", 13)
    assert typed(*ask(home), "-q").exit_code == 4, "the folder has another image"


def test_the_images_are_named_alone_and_their_split_is_said(home: Path) -> None:
    data = str(home / "pictures")
    words = [word for word in ask(home)[1:] if word not in ("--data", data)]
    whole = json.loads(typed("run", data, *words, "--dry-run", "--json").stdout)
    assert whole == json.loads(typed(*ask(home), "--dry-run", "--json").stdout)
    twice = typed("run", data, *words, "--data", data, "--dry-run")
    assert (twice.exit_code, "named twice" in twice.stderr) == (2, True)
    (home / "set" / "train").mkdir(parents=True)
    (home / "pictures").rename(home / "set" / "val")
    found = typed("run", str(home / "set"), *words, "--dry-run")
    assert found.stderr.startswith(f"the split val and not train of {home}/set is read")
    assert f"{home}/set/val: 12 of 12 images" in found.stdout
    absent = typed("run", str(home / "set"), *words, "--split", "test", "--dry-run")
    assert absent.exit_code == 2
    assert "it holds val, train: --split val" in absent.stderr


def test_missing_images_of_a_list_are_named_and_may_be_left_out(home: Path) -> None:
    first = sorted((home / "pictures").iterdir())[0].name
    (home / "list.csv").write_text(f"image,label\n{first},7\ngone.jpg,1\n")
    asked = [*ask(home), "--images", str(home / "list.csv"), "--dry-run"]
    refused = typed(*asked)
    assert (refused.exit_code, "names 1 image that is not in" in refused.stderr) == (2, True)
    taken = typed(*asked, "--missing", "ok")
    assert "1 of 1 images" in taken.stdout
    assert "gone.jpg" in taken.stderr


def test_an_error_that_advises_another_name_has_a_free_one(home: Path) -> None:
    make_run(home / "runs" / "pictures.db", data=home / "pictures")
    make_run(home / "runs" / "pictures2.db")
    refused = typed(*ask(home), "--seed", "3")
    assert refused.exit_code == 4
    assert refused.stderr.splitlines()[-1] == "hint:  choose --name pictures3 for this one"


def test_what_the_demo_leaves_out_is_one_line_to_paste(home: Path) -> None:
    assert home.exists()
    lines = typed("run", "--demo", "-n", "1", "-d").stderr.splitlines()
    (line,) = [line for line in lines if "Score-CAM" in line]
    assert line.endswith("camtui run --demo -b efficientnet_lite0 -m scorecam")
    assert len(line) < 80
    assert typed("wait", "demo", "--timeout", "300s").exit_code == 0
