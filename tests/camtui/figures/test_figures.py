"""Pictures show the pixels and maps that were evaluated; the page holds the numbers of the run and nothing that could act."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from camtui.cli.app import app
from camtui.export.plan import plan_toml
from camtui.figures.panels import open_panels
from camtui.figures.report import Contents, write_report
from camtui.figures.sheet import GAP, cell_sheet
from camtui.format import percent
from camtui.format.select import find_cell
from evaluator.crop import SIDE, open_square
from evaluator.errors import NotFound
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("fakecam", "cam", "gradcam", "scorecam")
EVIL = "<script>alert(1)</script>\x1b[2J&amp;"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    make_run(tmp_path / "runs" / "pics.db", methods=METHODS, images=12, pictures=True)
    return tmp_path


@pytest.fixture
def reader(home: Path) -> RunReader:
    return RunReader(home / "runs" / "pics.db")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stderr


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def test_panels_are_the_evaluated_pixels_and_the_stored_map(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/gradcam"), reader.image(4))
    expected = open_square(Path(reader.plan().data), reader.image(4).path, 224)
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
    panels = open_panels(reader, find_cell(reader, "vgg16/fakecam"), reader.image(4))
    assert panels.saliency[0, 0] == 0
    assert panels.saliency.sum() == SIDE * SIDE - 1
    assert np.array_equal(panels.view("masked")[1:], panels.image[1:])


def test_the_sheet_has_every_view_in_its_place(reader: RunReader) -> None:
    panels = open_panels(reader, find_cell(reader, "vgg16/gradcam"), reader.image(4))
    sheet = np.asarray(cell_sheet(panels, ("input", "cam", "overlay", "masked"), "viridis", 0.5))
    top = GAP + 15
    for column, view in enumerate(("input", "cam", "overlay", "masked")):
        left = GAP + column * (SIDE + GAP)
        assert np.array_equal(sheet[top : top + SIDE, left : left + SIDE], panels.view(view))  # type: ignore[arg-type]  # a View


def test_image_command(home: Path) -> None:
    target = home / "x.png"
    assert run("image", "pics", "vgg16/gradcam", "4", "-o", str(target)) == (0, f"wrote {target} (936 × 300)\n")
    assert size_of(target) == (936, 300)
    code, said = run("image", "pics", "vgg16/gradcam", "4", "-o", str(target))
    assert code == 2
    assert "--force" in said
    assert (
        run("image", "pics", "vgg16/gradcam", "4", "-o", str(target), "--view", "cam", "--colours", "cividis", "--force")[0] == 0
    )
    assert size_of(target)[0] == SIDE + 2 * GAP


@pytest.mark.parametrize("suffix", ["png", "pdf", "jpg"])
def test_figure_2_has_a_row_per_image_and_a_column_per_method(home: Path, suffix: str) -> None:
    target = home / f"figure2.{suffix}"
    assert run("image", "pics", "resnet18", "4", "5", "--all-methods", "-o", str(target))[0] == 0
    if suffix == "pdf":
        assert target.read_bytes().startswith(b"%PDF")
    else:
        size = size_of(target)
        assert size[0] == 5 * (SIDE + GAP) + GAP
        assert size[1] > 2 * SIDE


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pics", "vgg16/gradcam", "4", "-o", "x.bmp"], 2, "cannot write '.bmp'"),
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


def test_an_image_file_that_is_gone_or_changed(reader: RunReader) -> None:
    cell, file = find_cell(reader, "vgg16/gradcam"), Path(reader.plan().data) / reader.image(4).path.decode()
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(NotFound, match="the manifest has"):
        open_panels(reader, cell, reader.image(4))
    file.unlink()
    with pytest.raises(NotFound, match="cannot open"):
        open_panels(reader, cell, reader.image(4))


# -- charts --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["convergence", "components", "ranks", "deletion", "insertion"])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_charts(home: Path, kind: str, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    target = home / f"{kind}.{suffix}"
    assert run("figure", "pics", kind, "-o", str(target))[0] == 0
    if suffix == "svg":
        text = target.read_text()
        assert "vgg16" in text
        assert "scorecam" in text
    else:
        with Image.open(target) as picture:
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    first = target.read_bytes()
    run("figure", "pics", kind, "-o", str(target), "--force")
    assert target.read_bytes() == first


def test_charts_that_cannot_be(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(home / "runs" / "plain.db", methods=METHODS, curves=False)
    assert "no chart 'pie'" in run("figure", "pics", "pie", "-o", str(home / "a.png"))[1]
    assert "no deletion curves" in run("figure", "plain", "deletion", "-o", str(home / "a.png"))[1]
    make_run(home / "runs" / "few.db", methods=METHODS, images=6)
    assert "needs 10 images" in run("figure", "few", "convergence", "-o", str(home / "a.png"))[1]
    assert run("figure", "pics", "ranks", "-o", str(home / "a.gif"))[0] == 2
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    code, said = run("figure", "pics", "ranks", "-o", str(home / "a.png"))
    assert code == 2
    assert "camtui[figures]" in said


# -- the page ------------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags, and the cells of every table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def page(reader: RunReader, **contents: int) -> tuple[str, list[str]]:
    stream = io.StringIO()
    missing = write_report(stream, reader, plan_toml(reader), Contents(**{"worst": 2, **contents}))  # type: ignore[arg-type]  # flags
    return stream.getvalue(), missing


def shown_rows(rows: list[list[str]]) -> dict[str, list[str]]:
    """The first table's rows by method, intervals cut off."""
    return {row[0]: [cell.split(" ±")[0] for cell in row[1:]] for row in rows[1:5] if len(row) > 3}


def expected_rows(reader: RunReader) -> dict[str, list[str]]:
    metrics = ["average_drop", "average_increase", "deletion", "insertion", "coherency", "complexity", "adcc"]
    summaries = {summary.cell: summary for summary in reader.summaries()}
    first = next(cell.backbone for cell in reader.cells())
    found = {cell.method: summaries[cell.id] for cell in reader.cells() if cell.backbone == first}
    return {method: [str(s.n), *(percent(s.means[key].value) for key in metrics)] for method, s in found.items()}


def test_the_tables_numbers_are_read_back_from_the_page(reader: RunReader) -> None:
    text, missing = page(reader)
    assert missing == []
    assert shown_rows(Page(text).rows) == expected_rows(reader)


def test_the_page_fetches_nothing_and_runs_nothing(reader: RunReader) -> None:
    parsed = Page(page(reader)[0])
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "embed", "form", "a"}
    sources = [attributes["src"] or "" for tag, attributes in parsed.tags if tag == "img"]
    assert len(sources) == 5 + 2 * 2
    assert all(source.startswith("data:image/") for source in sources)
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in parsed.tags)


def test_hostile_names_are_text(home: Path) -> None:
    path = make_run(home / "runs" / "evil.db", name=EVIL, paths=[EVIL.encode() + b".png"] * 1, methods=["gradcam"], images=4)
    text, missing = page(RunReader(path))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[2J&amp;amp;" in text
    assert len(missing) > 0  # there are no files of it
    assert "Left out" in text


def test_the_page_without_charts_says_so(reader: RunReader, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Convergence" not in page(reader, charts=0)[0]
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    text, missing = page(reader)
    assert any("matplotlib" in line for line in missing)
    assert "camtui[figures]" in text


def test_the_page_holds_the_plan_that_makes_the_run_again(reader: RunReader) -> None:
    from html import unescape

    found = re.search("<pre>(.*?)</pre>", page(reader)[0], re.DOTALL)
    assert found
    assert unescape(found[1]) == plan_toml(reader)


@pytest.mark.slow
def test_the_page_in_chromium(home: Path, reader: RunReader) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed: apt install chromium")
    target = home / "report.html"
    assert run("report", "pics", "-o", str(target), "--worst", "1")[0] == 0
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={home / 'profile'}",
        "--dump-dom",
        target.as_uri(),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert shown_rows(Page(result.stdout).rows) == expected_rows(reader)
    assert json.dumps(result.stdout).count("data:image") >= 6


def test_report_command(home: Path) -> None:
    target = home / "report.html"
    assert run("report", "pics", "-o", str(target)) == (0, f"wrote {target}\n")
    assert run("report", "pics", "-o", str(target))[0] == 2
