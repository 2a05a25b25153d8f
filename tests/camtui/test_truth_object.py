"""The object by the truth that the run names, where this user has named it too."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camtui.pictures import NO_OBJECT, object_in
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import ImageRef


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of 300 × 240, its mask, and nothing named."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CAMTUI_DATA", raising=False)
    for name, value in (("data", 90), ("truth", 1)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((240, 300), value, dtype=np.uint8)).save(tmp_path / name / "a.png")
    return tmp_path


def plan(folders: Path, truth: bool = True) -> RunPlan:
    values = {"data": str(folders / "data"), "backbones": ["resnet18"], "methods": ["gradcam"]}
    return validated_plan(values | ({"truth": str(folders / "truth")} if truth else {}))


def ref(folders: Path, name: str = "a.png") -> ImageRef:
    return ImageRef(0, os.fsencode(name), (folders / "data/a.png").stat().st_size, None)


def test_only_where_the_user_has_named_it(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unnamed = object_in(plan(folders), ref(folders), 0, None)
    assert unnamed.pixels is None
    assert "you have not named" in unnamed.problem
    monkeypatch.setenv("CAMTUI_DATA", str(folders))
    found = object_in(plan(folders), ref(folders), 0, None)
    assert found.pixels is not None
    assert (found.pixels.shape, bool(found.pixels.all())) == ((224, 224), True)


def test_what_is_not_known_is_said(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTUI_DATA", str(folders))
    assert object_in(plan(folders, truth=False), ref(folders), 0, None) == NO_OBJECT
    assert (
        object_in(plan(folders), ref(folders, "b.png"), 0, None).problem
        == "no annotation of this image"
    )
