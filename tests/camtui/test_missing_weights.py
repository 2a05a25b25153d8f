"""Weights that cannot be loaded: refused before a run is touched, named by a dry run."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from camtui.cli.run_start import fetch_weights
from camtui.launch import Left
from camtui.planning import missing_weights
from evaluator.backbones import BackboneSpec
from evaluator.errors import BackboneUnavailable
from evaluator.execution.request import stored_run
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed
from tests.synthetic import make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stored run with pictures, on a machine that has no weights and reaches nobody."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    for name in ("CAMTUI_DRIVER", "CAMTUI_FAKE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "runs" / "val.db"
    make_run(
        path, backbones=("resnet18",), methods=("gradcam",), images=4, pictures=True, curves=False
    )
    return path


def asked(run: Path, *words: str) -> list[str]:
    with RunReader(run) as reader:
        data = reader.plan().data
    request = "-b resnet18,resnet50 -m gradcam --name val --device cpu"
    return ["run", "--data", data, *request.split(), *words]


def test_a_backbone_whose_weights_are_missing_is_refused_and_the_run_is_as_it_was(
    run: Path,
) -> None:
    before = sha256(run.read_bytes()).digest()
    refused = typed(*asked(run))
    assert refused.exit_code == 1
    assert "the weights of resnet50 are not on this machine" in refused.stderr
    assert "resnet50-0676ba61.pth" in refused.stderr.splitlines()[-1], "where to put them"
    assert sha256(run.read_bytes()).digest() == before


def test_a_dry_run_says_what_would_be_fetched(run: Path) -> None:
    assert (
        "weights   not on this machine, to be fetched first: resnet50\n"
        in typed(*asked(run, "--dry-run")).stdout
    )
    assert json.loads(typed(*asked(run, "--dry-run", "--json")).stdout)["weights_to_fetch"] == [
        "resnet50"
    ]


def test_only_published_weights_that_the_run_has_not_loaded_are_looked_for(
    run: Path, tmp_path: Path
) -> None:
    with RunReader(run) as reader:
        plan = reader.plan()
    stored = stored_run(run)
    assert missing_weights(plan, stored) == [], (
        "it was loaded before: the driver compares it with what the run has"
    )
    assert missing_weights(plan, stored_run(tmp_path / "nothing.db")) == ["resnet18"]
    random = type(plan)(**{**vars(plan), "backbones": (BackboneSpec("resnet50", "random:0"),)})
    assert missing_weights(random, stored) == []


def test_what_cannot_be_fetched_is_said_in_the_words_of_whoever_tried(run: Path) -> None:
    fetch_weights([])
    with pytest.raises(BackboneUnavailable, match="not on this machine and cannot be fetched"):
        fetch_weights(["resnet18"])


def test_a_fetching_that_nobody_waits_for_any_longer_ends() -> None:
    def look(_seconds: float) -> None:
        raise Left

    with pytest.raises(Left):
        fetch_weights(["resnet18"], look)
