"""Panels show the evaluated pixels and the stored map."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from camtui.figures.sheet import open_panels
from camtui.format.select import find_cell
from evaluator.crop import open_square
from evaluator.errors import NotFound
from evaluator.records import Preprocessing
from evaluator.store.reader import RunReader

SIDE = Preprocessing().side


def test_panels_are_the_evaluated_pixels_and_the_stored_map(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/gradcam"), reader.images.get(4))
    expected = open_square(Path(reader.plan().data), reader.images.get(4).path, Preprocessing())
    assert np.array_equal(panels.view("input"), np.asarray(expected))
    assert panels.row.map is not None
    low = np.array(struct.unpack("<49f", panels.row.map)).reshape(7, 7)
    assert panels.saliency.shape == (SIDE, SIDE)
    assert np.allclose(panels.saliency[16::32, 16::32], low, atol=0.05)
    assert np.array_equal(panels.view("overlay", alpha=0.0), panels.image)
    assert np.array_equal(panels.view("overlay", alpha=1.0), panels.view("cam"))
    share, mean = panels.saliency[:, :, None], 255 * np.array([0.485, 0.456, 0.406])
    assert np.abs(panels.view("masked") - (share * panels.image + (1 - share) * mean)).max() <= 0.51


def test_fake_cam_shows_the_whole_image_but_one_pixel(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/fakecam"), reader.images.get(4))
    assert panels.saliency[0, 0] == 0
    assert panels.saliency.sum() == SIDE * SIDE - 1
    assert np.array_equal(panels.view("masked")[1:], panels.image[1:])


def test_an_image_file_that_is_gone_or_changed(reader: RunReader) -> None:
    cell, file = (
        find_cell(reader, "vgg16/gradcam"),
        Path(reader.plan().data) / reader.images.get(4).path.decode(),
    )
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(NotFound, match="the manifest has"):
        open_panels(reader, cell, reader.images.get(4))
    file.unlink()
    with pytest.raises(NotFound, match="cannot open"):
        open_panels(reader, cell, reader.images.get(4))
