"""``camtui export --maps`` and ``camtui masked``: out of a run, and back in as another method."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from evaluator.catalog import method, register, scoped_registry
from evaluator.images import planned_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import EvaluationSession
from evaluator.measuring.views import BatchView
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import Row, Unit
from evaluator.references import as_reference
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from evaluator.user_code import sources_of
from evaluator.user_code_checks import described_maps
from evaluator.user_code_facts import Code
from tests.camtui.cli.support import typed

BACKBONE, COUNT = "synthetic_cnn", 4
NAMES = ("y", "o", "average_drop", "average_increase", "coherency", "complexity", "adcc")
Rows = dict[tuple[str, str], Row]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    random = np.random.default_rng(0)
    for number in range(COUNT):
        folder = tmp_path / "photos" / f"n{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).resize((96, 96)).save(folder / f"{number}.png")
    (tmp_path / "home" / "runs").mkdir(parents=True)
    return tmp_path / "photos"


def plan_of(data: Path, methods: Sequence[str], codes: Sequence[Code] = ()) -> RunPlan:
    values = {"data": str(data), "backbones": [BACKBONE], "methods": [*methods]}
    return validated_plan(values | {"code": [vars(code) for code in codes]})


def measured(home: Path, name: str, plan: RunPlan) -> Rows:
    """A run's file with the rows of a real session, without a driver: (method, path) → row."""
    images = planned_images(plan)
    allowed = {code.reference: code.sha256 for code in plan.code}
    session = EvaluationSession(SessionSettings(plan, plan.data, allowed=allowed))
    file = home / "runs" / f"{name}.db"
    writer = RunWriter(file)
    writer.begin(name, plan, images)
    writer.cells.set_backbone(0, session.load(0))
    with RunReader(file) as reader:
        cells = {cell.id: cell.method for cell in reader.cells()}
    writer.rows.commit(
        session.evaluate(Unit(0, 0, 0, (*cells,), (*cells.values(),), images.images))
    )
    writer.set_state("complete")
    writer.close()
    session.close()
    with RunReader(file) as reader:
        return {
            (method, image.path.decode()): row
            for cell, method in cells.items()
            for row, image, _ in reader.rows.of_cell(cell)
        }


def _part(images: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    return images[start:stop]


def second_maps(plan: RunPlan, folder: Path, ours: Rows, target: Path) -> None:
    """Grad-CAM of the written explanation images, as a program of somebody else's would make it."""
    session = EvaluationSession(SessionSettings(plan, plan.data))
    session.load(0)
    assert session._loaded is not None
    network, pipeline = session._loaded.network, session._loaded.pipeline
    found = {}
    for (spec, path), row in ours.items():
        images = torch.from_numpy(np.load(folder / f"{path}.npy"))[None]
        assert images.shape[1:] == network.input_shape
        seen = network.forward(images, channel_scoring=False)
        target_class = torch.tensor([row.target])
        view = BatchView(network, images.clone, seen, target_class, [b"0\0a"])
        if spec == "gradcam":
            saliency, _ = pipeline.saliency(method("gradcam"), view)
            found[path] = saliency.values[0].numpy()
    session.close()
    np.savez(target, allow_pickle=False, **found)


def maps_code(text: str) -> Code:
    return described_maps(Code("method", text, text, sources_of(as_reference(text)).sha256))


@pytest.mark.long
def test_our_grad_cam_goes_out_and_comes_back_with_its_adcc(data: Path, tmp_path: Path) -> None:
    plan = plan_of(data, ["gradcam", "saliency"])
    ours = measured(tmp_path / "home", "photos", plan)
    maps, folder, second = (tmp_path / name for name in ("mine.npz", "masked", "second.npz"))
    several = typed("export", "photos", "--maps", "-o", str(maps))
    assert several.exit_code == 2
    assert "there are 2" in several.stderr
    export = ("export", "photos", "--maps", "--filter", f"{BACKBONE}/gradcam", "-o")
    assert "numpy" in typed(*export, "-").stderr
    assert typed(*export, str(maps)).exit_code == 0
    assert typed(*export, str(maps)).exit_code == 2, "nothing is written over"
    out = ("masked", "photos", f"{BACKBONE}/gradcam", "-o", str(folder))
    written = typed(*out, "--data", str(data))
    assert (written.exit_code, "wrote 4 images" in written.stderr) == (0, True), written.stderr
    assert "exists" in typed(*out).stderr
    second_maps(plan, folder, ours, second)

    codes = [maps_code(f"maps:{maps}"), maps_code(f"maps:{maps}:second={second}")]
    with scoped_registry():
        for code in codes:
            register(code)
        keys = [code.key for code in codes]
        theirs = measured(tmp_path / "home", "maps", plan_of(data, keys, codes))
    alone, both = keys
    for (spec, path), row in ours.items():
        if spec == "gradcam":
            for name in NAMES:
                expected = pytest.approx(getattr(row, name), abs=1e-3)
                assert getattr(theirs[both, path], name) == expected, name
                missing = name in ("coherency", "adcc")
                assert getattr(theirs[alone, path], name) == (None if missing else expected), name
    shown = " ".join(typed("table", "maps").stdout.split())
    assert f"{alone}: coherency and ADCC of none of 4 images: no maps of explanation" in shown
    worst = typed("worst", "maps", "--cell", f"{BACKBONE}/{alone}")
    assert "no maps of explanation" in worst.stderr
    summary = typed("export", "maps", "-f", "csv", "--per-image").stdout
    assert alone in summary
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fonts
        assert typed("report", "maps", "-o", str(tmp_path / "r.html")).exit_code == 0
