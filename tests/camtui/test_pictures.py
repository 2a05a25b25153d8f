"""Maps as pictures, and the edge of the object."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from camtui import pictures
from camtui.pictures import NO_OBJECT, object_in
from evaluator.methods.saliency import Saliency
from evaluator.plan import RunPlan, validated_plan
from evaluator.records import ImageRef, LoadedBackbone, Preprocessing

LOADED = LoadedBackbone(
    "b",
    "w",
    "0" * 64,
    "l",
    8,
    2,
    3,
    True,
    (),
    Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (1, 1), (5, 9), (224, 224)])
def test_upsampling_is_torchs(height: int, width: int) -> None:
    low = np.random.default_rng(0).random((height, width), dtype=np.float32)
    theirs = interpolate(
        torch.from_numpy(low)[None, None], size=(224, 224), mode="bilinear", align_corners=False
    )[0, 0]
    assert np.abs(pictures.upsampled(low, 224) - theirs.numpy()).max() < 1e-6


def test_a_stored_map_has_the_backbones_shape() -> None:
    values = np.linspace(0, 1, 6, dtype="<f4")
    assert pictures.saliency(values.tobytes(), LOADED).shape == (2, 3)
    with pytest.raises(ValueError, match="does not fit"):
        pictures.saliency(values[:5].tobytes(), LOADED)
    with pytest.raises(ValueError, match="does not fit"):
        pictures.saliency(b"", None)


def test_a_map_of_an_image_method_is_square_whatever_the_layer() -> None:
    values = np.linspace(0, 1, 9, dtype="<f2")
    found = pictures.saliency(values.tobytes(), LOADED, Saliency)
    assert found.dtype == np.float32
    assert found.tolist() == values.reshape(3, 3).astype(np.float32).tolist()
    for wrong in (values[:8].tobytes(), values.tobytes()[:-1]):
        with pytest.raises(ValueError, match=r"does not fit|multiple"):
            pictures.saliency(wrong, LOADED, Saliency)


def test_a_hostile_map_stays_in_range() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 5, -5, 0.5], dtype="<f4")
    found = pictures.saliency(values.tobytes(), LOADED)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("name", pictures.COLOUR_MAPS)
def test_colour_maps_have_fixed_ends(name: pictures.ColourMap) -> None:
    half = pictures.coloured(np.array([[0.0, 0.5]], dtype=np.float32), name)
    full = pictures.coloured(np.array([[0.0, 1.0]], dtype=np.float32), name)
    assert (half[0, 0] == full[0, 0]).all()
    assert (half[0, 1] != full[0, 1]).any()


@pytest.mark.parametrize("name", sorted(set(pictures.COLOUR_MAPS) - {"grey"}))
def test_colour_maps_are_matplotlibs(name: pictures.ColourMap) -> None:
    colormaps = pytest.importorskip("matplotlib").colormaps
    values = np.linspace(0, 1, 256, dtype=np.float32)
    theirs = 255 * colormaps[name](np.arange(256))[None, :, :3]
    assert np.abs(pictures.coloured(values[None], name) - theirs).max() < 12


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.75, 1.0])
def test_an_overlay_is_as_opaque_as_the_map_is_high(alpha: float) -> None:
    image = np.full((1, 3, 3), 200, dtype=np.uint8)
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    shown = pictures.overlay(image, values, "turbo", alpha)
    assert (shown[0, 0] == image[0, 0]).all(), "where the map is cold the photograph stays"
    share = alpha * values[0, :, None]
    expected = (1 - share) * image[0] + share * pictures.coloured(values, "turbo")[0]
    assert np.abs(shown[0] - expected).max() <= 0.5


def test_overlay_and_explanation_at_their_ends() -> None:
    image = np.full((4, 4, 3), 200, dtype=np.uint8)
    ones, zeros = np.ones((4, 4), dtype=np.float32), np.zeros((4, 4), dtype=np.float32)
    assert (pictures.overlay(image, ones, "turbo", 1.0) == pictures.coloured(ones, "turbo")).all()
    assert (pictures.explanation(image, ones, LOADED) == image).all()
    assert (pictures.explanation(image, zeros, LOADED)[0, 0] == [128, 102, 76]).all(), (
        "the mean colour where the map is 0"
    )


def test_an_edge_is_white_within_and_black_without() -> None:
    inside = np.zeros((6, 6), dtype=bool)
    inside[1:5, 1:5] = True
    drawn = pictures.outlined(np.full((6, 6, 3), 90, dtype=np.uint8), inside)[:, :, 0]
    assert drawn.tolist() == [
        [90, 0, 0, 0, 0, 90],
        [0, 255, 255, 255, 255, 0],
        [0, 255, 90, 90, 255, 0],
        [0, 255, 90, 90, 255, 0],
        [0, 255, 255, 255, 255, 0],
        [90, 0, 0, 0, 0, 90],
    ]


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
