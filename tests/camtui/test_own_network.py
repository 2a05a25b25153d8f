"""A network of the user's own through everything: trained on tiny grey images, in a file, shown by
its own class names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from camtui.tui.app import Dashboard
from camtui.tui.screens.image import ImageScreen
from evaluator.records import Preprocessing
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import ROOT
from tests.evaluator.networks.families.support import NET

CLASSES = ("bar", "cross", "dot", "frame", "slash")
SIDE = 32


def figure(kind: int, random: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One of five shapes, bright on noise."""
    pixels = random.integers(0, 80, (SIDE, SIDE))
    shift = int(random.integers(-4, 5))
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    masks = [
        abs(rows - shift) < 3,
        (abs(rows - shift) < 2) | (abs(columns) < 2),
        (rows - shift) ** 2 + columns**2 < 30,
        (np.maximum(abs(rows), abs(columns)) > 11) & (np.maximum(abs(rows), abs(columns)) < 14),
        abs(rows - columns - shift) < 3,
    ]
    pixels[masks[kind]] += 150
    return pixels.clip(0, 255).astype(np.uint8)


def trained() -> dict[str, torch.Tensor]:
    """Weights of the network of ``NET`` after a few steps."""
    space: dict[str, Any] = {"__name__": "net"}
    exec(compile(NET, "net.py", "exec"), space)
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    model: nn.Module = space["Net"]()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        kinds = random.integers(0, 5, 32)
        images = (
            torch.from_numpy(np.stack([figure(kind, random) for kind in kinds]))[:, None].float()
            / 255
        )
        loss = nn.functional.cross_entropy(model((images - 0.5) / 0.25), torch.from_numpy(kinds))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # missing from torch's stubs
        optimiser.step()
    return {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the trained network, its class names taken from the folders."""
    home = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(1)
    for kind, name in enumerate(CLASSES):
        (home / "shapes" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(figure(kind, random)).save(home / f"shapes/{name}/{number}.png")
    (home / "net.py").write_text(NET.replace(', "classes": list("abcde")', ""))
    save_file(trained(), home / "best.safetensors")
    camtui(
        home,
        "run --data shapes -b ./net.py:build:weights=best.safetensors -m gradcam,cam,layercam "
        "--metric deletion -F -q --device cpu",
    )
    return home


def camtui(home: Path, words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A command, typed in the folder of the network."""
    environment = os.environ | {
        "CAMTUI_HOME": str(home / "home"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "camtui", *words.split()],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


NAME = "net.py:build:weights=best.safetensors"


def test_it_has_learnt_and_its_rows_say_so(home: Path) -> None:
    with RunReader(home / "home/runs/shapes.db") as reader:
        loaded = reader.backbones()[NAME]
        rows = list(reader.rows.every_row())
        labels = {image.id: image.label for image in reader.images.between(0, 99)}
    assert loaded is not None
    assert loaded.classes == CLASSES
    assert loaded.preprocessing == Preprocessing(SIDE, SIDE, mean=(0.5,), std=(0.25,), channels=1)
    assert len(rows) == 15 * 3
    assert sum(row.predicted == labels[row.image] for row in rows) > 0.8 * len(rows)


def test_tables_exports_and_show_name_it(home: Path) -> None:
    assert NAME in camtui(home, "table shapes").stdout
    about = camtui(home, "show shapes").stdout
    assert "32 × 32 grey" in about
    assert "cut by its graph" in about
    record = json.loads(camtui(home, "show shapes --json").stdout)["run"]["backbones"][NAME]
    assert record["preprocessing"]["channels"] == 1
    assert "its 5 classes are named by the class folders" in camtui(home, "logs shapes").stdout


def test_pictures_and_the_report_have_its_side(home: Path) -> None:
    camtui(home, f"image shapes {NAME}/gradcam 0 -o one.png")
    sheet = np.asarray(Image.open(home / "one.png"))
    assert sheet.shape[1] == 4 * (SIDE + 8) + 8
    camtui(home, "report shapes -o page.html")
    assert NAME in (home / "page.html").read_text()


def test_the_dashboard_names_its_classes(home: Path) -> None:
    import asyncio

    async def look() -> str:
        dashboard = Dashboard(home / "home/runs/shapes.db")
        async with dashboard.run_test(size=(120, 40)) as pilot:
            for _ in range(200):
                await pilot.pause(0.05)
                if getattr(dashboard.screen, "snapshot", None) is not None:
                    break
            for _ in range(2):
                await pilot.press("enter")
                await pilot.pause(0.5)
            for _ in range(200):
                if isinstance(dashboard.screen, ImageScreen):
                    break
                await pilot.pause(0.05)
            await pilot.pause(0.5)
            return dashboard.export_screenshot()

    text = re.sub(r"<[^>]+>|&#160;", " ", asyncio.run(look()))
    assert any(name in text for name in CLASSES)


@pytest.mark.long
def test_a_check_says_what_a_run_would_find(home: Path) -> None:
    words = "backbones --check ./net.py:build:weights=best.safetensors --image shapes/dot/0.png"
    (home / "names.txt").write_text("\n".join(CLASSES))
    text = " ".join(camtui(home, words).stdout.split())
    assert "classes 5: bar, cross, dot" in text
    assert "its classes are named by the 5 class folders around the image, sorted" in text
    assert re.search(r"image \d\.\d+ dot", text)
    text = camtui(home, f"{words} --classes names.txt").stdout
    assert "class folders" not in text
    assert "map 16 × 16 × 16, cut by its graph" in text
    assert "classes    5: bar, cross, dot" in text
    found = json.loads(camtui(home, f"{words} --json").stdout)
    schema = json.loads(camtui(home, "schema backbones-check").stdout)
    jsonschema.Draft202012Validator(schema).validate(found)
    assert found["forwards_per_second"] > 0
    assert len(found["top"]) == 5
    assert found["top"][0]["score"] == max(one["score"] for one in found["top"])


@pytest.mark.long
def test_what_cannot_be_loaded_leaves_the_run_as_it_was(home: Path) -> None:
    before = (home / "home/runs/shapes.db").read_bytes()
    for tail, exit_code, said in (
        ("nothing", 2, "has no 'nothing'"),
        ("table", 2, "an nn.Module was expected"),
    ):
        run = f"run --data shapes -b ./net.py:{tail} -m gradcam --name bad-{tail} -F -q"
        assert said in camtui(home, run, exit_code).stderr
        assert not (home / f"home/runs/bad-{tail}.db").exists()
    assert (home / "home/runs/shapes.db").read_bytes() == before


ANSWERS = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    drops, probable = False, False

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 5)

    def forward(self, images):
        pooled = self.conv(images).relu().mean((2, 3))
        if self.drops:
            pooled = F.dropout(pooled, 0.5, training=True)
        logits = self.fc(pooled)
        return logits.softmax(1) if self.probable else logits


FACTS = {"side": 32, "channels": 1, "mean": 0.5, "std": 0.25}


def dropout():
    net = Net()
    net.drops = True
    return net, FACTS


def probable():
    net = Net()
    net.probable = True
    return net, FACTS
"""


@pytest.mark.long
def test_what_is_wrong_with_a_network_is_told_by_every_command(home: Path) -> None:
    (home / "answers.py").write_text(ANSWERS)
    run = "run --data shapes -m gradcam --device cpu --no-watch"
    for words in (
        "backbones --check ./answers.py:dropout",
        f"{run} --name drops -b ./answers.py:dropout",
    ):
        assert "answers differently each time" in camtui(home, words, 4).stderr
    assert not (home / "home/runs/drops.db").exists()
    done = camtui(home, f"{run} --name probable -b ./answers.py:probable")
    told = "as probabilities do, and softmax is taken of them once more"
    assert "warning: answers.py:probable: its outputs" in done.stderr
    shown = json.loads(camtui(home, "show probable --json").stdout)["run"]["backbones"]
    checked = json.loads(camtui(home, "backbones --check ./answers.py:probable --json").stdout)
    for text in (
        done.stderr,
        done.stdout,
        camtui(home, "show probable").stdout,
        camtui(home, "table probable").stdout,
        camtui(home, "backbones --check ./answers.py:probable").stdout,
        shown["answers.py:probable"]["remarks"][0],
        checked["remarks"][0],
    ):
        assert told in " ".join(text.split())
