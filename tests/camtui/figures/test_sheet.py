"""Panels show the evaluated pixels and the stored map; sheets put them side by side."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camtui.figures.sheet import GAP, CellPanels, cell_sheet, figure_2, open_panels
from camtui.format.select import find_cell
from camtui.pictures import DEFAULT_LOOK, PICTURE_KINDS, Look, PictureKind, Pixels
from evaluator.crop import open_square
from evaluator.errors import NotFound
from evaluator.records import Preprocessing
from evaluator.store.reader import RunReader
from tests.camtui.figures.conftest import run, size_of
from tests.synthetic import add_masks, make_run

SIDE = Preprocessing().side


def seen(panels: CellPanels, kind: PictureKind, look: Look = DEFAULT_LOOK) -> Pixels:
    picture = panels.view(kind, look)
    assert picture is not None
    return picture


def test_panels_are_the_evaluated_pixels_and_the_stored_map(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/gradcam"), reader.images.get(4))
    expected = open_square(Path(reader.plan().data), reader.images.get(4).path, Preprocessing())
    assert np.array_equal(seen(panels, "input"), np.asarray(expected))
    assert panels.row.map is not None
    low = np.array(struct.unpack("<49f", panels.row.map)).reshape(7, 7)
    assert panels.saliency.shape == (SIDE, SIDE)
    assert np.allclose(panels.saliency[16::32, 16::32], low, atol=0.05)
    assert np.array_equal(seen(panels, "overlay", Look(alpha=0.0)), panels.image)
    share, mean = panels.saliency[:, :, None], 255 * np.array([0.485, 0.456, 0.406])
    assert (
        np.abs(seen(panels, "masked") - (share * panels.image + (1 - share) * mean)).max() <= 0.51
    )
    over = share * seen(panels, "cam") + (1 - share) * panels.image
    assert np.abs(seen(panels, "overlay", Look(alpha=1.0)) - over).max() <= 0.51


def test_fake_cam_shows_the_whole_image_but_one_pixel(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/fakecam"), reader.images.get(4))
    assert panels.saliency[0, 0] == 0
    assert panels.saliency.sum() == SIDE * SIDE - 1
    assert np.array_equal(seen(panels, "masked")[1:], panels.image[1:])


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


def test_the_sheet_has_every_view_in_its_place(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/gradcam"), reader.images.get(4))
    sheet = np.asarray(cell_sheet(panels, PICTURE_KINDS, DEFAULT_LOOK))
    top = GAP + 15
    for column, view in enumerate(PICTURE_KINDS):
        left = GAP + column * (SIDE + GAP)
        assert np.array_equal(sheet[top : top + SIDE, left : left + SIDE], seen(panels, view))


def test_image_command(home: Path) -> None:
    target = home / "x.png"
    words = ("image", "pics", "vgg16/gradcam", "4", "-o", str(target))
    assert run(*words) == (0, f"wrote {target} (936 × 300)\n")
    assert size_of(target) == (936, 300)
    code, said = run(*words)
    assert code == 2
    assert "--force" in said
    assert run(*words, "--view", "cam", "--colours", "cividis", "--force")[0] == 0
    assert size_of(target)[0] == SIDE + 2 * GAP


@pytest.mark.parametrize("suffix", ["png", "pdf", "jpg"])
def test_figure_2_has_a_row_per_image_and_a_column_per_method(home: Path, suffix: str) -> None:
    target = home / f"figure2.{suffix}"
    drawn = run("image", "pics", "resnet18:gradcam", "4", "5", "--all-methods", "-o", str(target))
    assert drawn[0] == 0
    if suffix == "pdf":
        assert target.read_bytes().startswith(b"%PDF")
    else:
        size = size_of(target)
        assert size[0] == 5 * (SIDE + GAP) + GAP
        assert size[1] > 2 * SIDE


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pics", "vgg16/gradcam", "4", "-o", "x.bmp"], 2, "no picture format known for 'x.bmp'"),
        (["pics", "vgg16/gradcam", "4", "5", "-o", "x.png"], 2, "--all-methods"),
        (["pics", "vgg16/gradcam", "4", "-o", "x.png", "--view", "front"], 2, "--view takes"),
        (["pics", "vgg16/gradcam", "4", "-o", "x.png", "--colours", "jet"], 2, "--colours takes"),
        (["pics", "vgg61", "4", "-o", "x.png", "--all-methods"], 4, "did you mean 'vgg16'"),
        (["pics", "vgg16/gradcam", "nothing", "-o", "x.png"], 4, "no images match"),
        (["pics", "vgg16/gradcam", "11", "-o", "x.png"], 4, "has no row for"),
    ],
)
def test_bad_requests_for_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found, said = run("image", *arguments)
    assert (found, message in said) == (code, True), said
    assert not list(tmp_path.glob("x.*"))


def test_an_image_that_failed_has_no_sheet_and_a_method_without_a_row_says_so(
    tmp_path: Path,
) -> None:
    path = make_run(
        tmp_path / "run.db",
        images=12,
        backbones=["resnet18"],
        methods=["gradcam", "gradcampp"],
        partial={"resnet18/gradcampp": 3},
        pictures=True,
    )
    with RunReader(path) as stored:
        cells, failed = stored.cells(), stored.failures(limit=1)[0].image
        sheet = figure_2(stored, cells, [stored.images.get(5)], "overlay", DEFAULT_LOOK)
        assert sheet.width > 2 * SIDE, "the method that has no row keeps its column"
        with pytest.raises(NotFound, match="no method has a row for"):
            figure_2(stored, cells, [stored.images.get(failed)], "overlay", DEFAULT_LOOK)


def test_the_object_s_edge(home: Path) -> None:
    made = make_run(
        home / "runs" / "true.db",
        images=4,
        methods=("gradcam",),
        backbones=("vgg16",),
        pictures=True,
        data=home / "true",
        plan={"truth": str(home / "truth")},
    )
    add_masks(made, home / "truth")
    plain, edged = home / "plain.png", home / "edged.png"
    assert run("image", "true", "vgg16/gradcam", "1", "-o", str(plain))[0] == 0
    assert run("image", "true", "vgg16/gradcam", "1", "--truth", "-o", str(edged))[0] == 0
    changed = (
        (np.asarray(Image.open(plain)) != np.asarray(Image.open(edged)))
        .any(axis=(0, 2))
        .nonzero()[0]
    )
    assert changed.tolist() == [
        GAP + column * (SIDE + GAP) + place for column in range(4) for place in (111, 112)
    ]
    code, said = run("image", "pics", "vgg16/gradcam", "4", "--truth", "-o", str(home / "none.png"))
    assert code == 4
    assert "the run has no truth" in said
