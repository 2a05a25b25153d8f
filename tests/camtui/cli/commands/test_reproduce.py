"""``camtui reproduce``: the plan of the paper's Table 2, from its price to its claims."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from camtui.paper import table2
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed
from tests.shared import SAMPLE

NETWORKS = list(table2())


def ask(home: Path, *words: str) -> list[str]:
    return ["reproduce", "poppi2021", "--data", str(home / "pictures"), *words, "--device", "cpu"]


def test_the_plan_is_the_table(home: Path) -> None:
    plan = tomllib.loads(files("camtui").joinpath("data/poppi2021.toml").read_text("utf-8"))
    assert plan["backbones"] == NETWORKS
    assert set(plan["methods"]) == {method for rows in table2().values() for method in rows}
    priced = json.loads(typed(*ask(home, "--dry-run", "--json")).stdout)["plan"]
    printed = {metric for rows in table2().values() for row in rows.values() for metric in row}
    assert set(priced["metrics"]) == printed
    assert {priced["target"], priced["masking"], priced["removed"]} == {
        "predicted",
        "normalised",
        "zero",
    }
    assert all(spec["weights"] == "default" for spec in priced["backbones"])


def test_a_dry_run_prices_the_six_networks_and_says_which_files_are_wanted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    done = typed(*ask(home, "--dry-run"))
    assert done.exit_code == 0, done.stderr
    prices = dict(
        line.removeprefix("network").strip().split(": ", 1)
        for line in done.stdout.splitlines()
        if line.startswith("network ")
    )
    assert list(prices) == NETWORKS
    assert prices["resnet50"] == f"{12 * (7 + 270 + 4098 + 54):,} passes"
    place = home / "torch/hub/checkpoints/vgg16-397923af.pth"
    url = "https://download.pytorch.org/models/vgg16-397923af.pth"
    assert f"vgg16 wants {url} at {place}\n" in done.stderr
    assert done.stderr.count(" wants https://") == 6
    assert not list(home.glob("runs/*.db"))


def test_without_weights_it_names_every_file_and_begins_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAMTUI_DRIVER")
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    done = typed(*ask(home, "--only", "resnet18,vgg16"))
    assert done.exit_code == 1
    for file in ("resnet18-f37072fd.pth", "vgg16-397923af.pth"):
        assert f" at {home / 'torch/hub/checkpoints' / file}\n" in done.stderr
    assert "--weights random:0" in done.stderr
    assert not list(home.glob("runs/*.db"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "resnet"), "did you mean 'resnet50'?"),
        (("--only", "efficientnet_lite0"), "has no network 'efficientnet_lite0'"),
        (("-m", "layercam"), "has no method 'layercam'"),
        (("--weights", "mine.pth"), "camtui run --weights FILE"),
    ],
)
def test_what_is_not_the_papers_is_refused(home: Path, words: tuple[str, ...], said: str) -> None:
    done = typed(*ask(home, *words))
    assert done.exit_code == 2
    assert said in done.stderr


def test_another_paper_is_refused(home: Path) -> None:
    done = typed("reproduce", "poppi", "--data", str(home / "pictures"))
    assert done.exit_code == 2
    assert "did you mean 'poppi2021'?" in done.stderr


def test_it_grows_ends_in_the_papers_numbers_and_says_whose_weights_these_are(home: Path) -> None:
    """The machinery, with rows that are made up."""
    words = ("--weights", "random:0", "-n", "12", "--no-watch", "-q")
    first = typed(*ask(home, "--only", "resnet18", "-m", "fakecam,gradcam", *words))
    assert first.exit_code == 0, first.stderr
    assert "resnet18:weights=random:0 (weights random:0: not the paper's)" in first.stdout
    whole = typed(*ask(home, *words))
    assert whole.exit_code == 0, whole.stderr
    assert "not the paper's weights; no result" in whole.stderr
    told = " ".join(whole.stdout.split())
    assert "beside Table 2 of the paper · not the paper's weights, number of images" in told
    assert whole.stdout.count("not the paper's)") == 6
    assert "What the paper claims, here" in whole.stdout
    assert "ADCC puts every true method before Fake-CAM" in whole.stdout
    with RunReader(home / "runs/poppi2021-random-0.db") as reader:
        assert len(reader.cells()) == 36
        assert all(one.n == 12 for one in reader.averages.summaries())
    again = typed(*ask(home, *words, "--json"))
    payload = json.loads(again.stdout.splitlines()[-1])
    assert payload["differs_in"] == ["weights", "number of images"]
    assert len(payload["cells"]) == 7 * 31, "XGrad-CAM is printed for VGG-16 alone"


@pytest.mark.long
def test_seeded_networks_are_measured_to_the_end_on_twelve_real_images(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAMTUI_DRIVER")
    words = "--weights random:0 --only resnet18 -m gradcam -n 12 --device cpu --no-watch -q"
    done = typed("reproduce", "poppi2021", "--data", str(SAMPLE), *words.split())
    assert done.exit_code == 0, done.stderr
    assert "resnet18:weights=random:0 (weights random:0: not the paper's)" in done.stdout
    with RunReader(home / "runs/poppi2021-random-0.db") as reader:
        assert {one.n for one in reader.averages.summaries()} == {12}
        assert all("deletion" in one.means for one in reader.averages.summaries())
