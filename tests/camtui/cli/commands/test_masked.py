"""``camtui export --maps`` and ``camtui masked``: out of a run, and back in as another method."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from evaluator.backbones import BackboneSpec
from evaluator.catalog import method
from evaluator.measuring.pipeline import Pipeline
from evaluator.measuring.views import BatchView
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.network import Network
from evaluator.records import Row
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import camtui

BACKBONE, COUNT = "synthetic_cnn", 4
NAMES = ("y", "o", "average_drop", "average_increase", "coherency", "complexity", "adcc")


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a real run ``photos``: Grad-CAM and saliency on four images."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CAMTUI_DRIVER", raising=False)
    random = np.random.default_rng(0)
    for number in range(COUNT):
        folder = tmp_path / "photos" / f"n{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).resize((96, 96)).save(folder / f"{number}.png")
    run(tmp_path, "gradcam,saliency")
    return tmp_path


def run(home: Path, methods: str, *more: str) -> str:
    data = ("--data", str(home / "photos"), "--name", "photos", "--quiet")
    done = camtui("run", *data, "-b", BACKBONE, "-m", methods, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(home: Path, beginning: str) -> dict[str, Row]:
    with RunReader(home / "home" / "runs" / "photos.db") as reader:
        (cell,) = (one for one in reader.cells() if one.method.startswith(beginning))
        return {image.path.decode(): row for row, image, _ in reader.rows.of_cell(cell.id)}


def _part(images: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    return images[start:stop]


def second_maps(folder: Path, ours: dict[str, Row], target: Path) -> None:
    """Grad-CAM of the written explanation images, as a program of somebody else's would make it."""
    network = Network(
        load_backbone(BackboneSpec(BACKBONE), 224, device=torch.device("cpu")),
        device=torch.device("cpu"),
        precision="fp32",
    )
    found = {}
    for path, row in ours.items():
        images = torch.from_numpy(np.load(folder / f"{path}.npy"))[None]
        seen = network.observe(1, partial(_part, images))
        view = BatchView(network, partial(_part, images), seen, torch.tensor([row.target]), [b"a"])
        saliency, _ = Pipeline(network).saliency(method("gradcam"), view)
        found[path] = saliency.values[0].numpy()
    np.savez(target, allow_pickle=False, **found)


@pytest.mark.long
def test_our_grad_cam_goes_out_and_comes_back_with_its_adcc(ran: Path) -> None:
    maps, folder, second = ran / "mine.npz", ran / "masked", ran / "second.npz"
    several = typed("export", "photos", "--maps", "-o", str(maps))
    assert several.exit_code == 2
    assert "there are 2" in several.stderr
    chosen = ("--filter", f"{BACKBONE}/gradcam")
    assert typed("export", "photos", "--maps", *chosen, "-o", str(maps)).exit_code == 0
    assert typed("export", "photos", "--maps", *chosen, "-o", str(maps)).exit_code == 2
    assert typed("masked", "photos", f"{BACKBONE}/gradcam", "-o", str(folder)).exit_code == 0
    again = typed("masked", "photos", f"{BACKBONE}/gradcam", "-o", str(folder))
    assert (again.exit_code, "exists" in again.stderr) == (2, True)
    ours = rows(ran, "gradcam")
    second_maps(folder, ours, second)
    said = run(ran, f"maps:{maps},maps:{maps}:second={second}")
    assert "coherency and ADCC of none of 4 images: no maps of explanation" in said
    with RunReader(ran / "home" / "runs" / "photos.db") as reader:
        keys = [c.method for c in reader.cells() if c.method.startswith("maps:")]
    found = [rows(ran, key) for key in keys]
    alone, both = sorted(found, key=lambda each: next(iter(each.values())).coherency is not None)
    for path, row in ours.items():
        for name in NAMES:
            expected = pytest.approx(getattr(row, name), abs=1e-3)
            assert getattr(both[path], name) == expected, name
            missing = name in ("coherency", "adcc")
            assert getattr(alone[path], name) == (None if missing else expected), name
    shown = typed("table", "photos", "--sort", "adcc")
    assert shown.exit_code == 0
    assert camtui("resume", "photos").returncode == 0, "what is named is allowed"
    worst = typed("worst", "photos", "--cell", next(k for k in keys if rows(ran, k) == alone))
    assert "no maps of explanation" in worst.stderr
    verified = typed("verify", "photos", "--recompute", "20")
    assert verified.exit_code == 0, verified.stdout + verified.stderr


@pytest.mark.long
def test_a_run_does_not_go_on_with_other_maps_nor_with_those_nobody_named(
    ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ran / "theirs"
    (folder / "n0").mkdir(parents=True)
    np.save(folder / "n0" / "0.npy", np.eye(5))
    said = run(ran, f"maps:{folder}", "--max-failures", "4")
    assert f"maps:{folder.name}-" in said
    assert "failed" in said
    np.save(folder / "n0" / "2.npy", np.eye(5))
    changed = camtui("resume", "photos")
    assert changed.returncode == 4
    assert "maps:" in changed.stderr
    (folder / "n0" / "2.npy").unlink()
    monkeypatch.setenv("CAMTUI_HOME", str(ran / "other"))
    (ran / "other" / "runs").mkdir(parents=True)
    database = ran / "other" / "runs" / "photos.db"
    database.write_bytes((ran / "home" / "runs" / "photos.db").read_bytes())
    refused = camtui("resume", "photos")
    assert refused.returncode == 2
    assert "this needs maps that you have not named here" in refused.stderr
