"""The report as a browser shows and prints it: headless Chromium, through Playwright (extra
``browser``).
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluator.store.reader import RunReader
from tests.camtui.figures.conftest import run
from tests.camtui.figures.test_report import Page as Parsed
from tests.camtui.figures.test_report import expected_rows, shown_rows
from tests.synthetic import make_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="pip install -e .[browser]", exc_type=ImportError
)
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OVERFLOWING = """[...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .filter(element => !element.closest(".scroll > *"))
    .map(element => element.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def page_file(home: Path) -> Path:
    file = home / "report.html"
    assert run("report", "pics", "-o", str(file), "--images", "1")[0] == 0
    return file


def opened(browser: Browser, file: Path, width: int, *, dark: bool = False) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_nothing_is_cut_at_any_width_and_adcc_is_seen_first(
    browser: Browser, page_file: Path, width: int
) -> None:
    page = opened(browser, page_file, width)
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    row = page.locator("#averages tbody tr").first
    box, other = (row.locator(place).bounding_box() for place in ("td.headline", "td >> nth=2"))
    assert box is not None
    assert other is not None
    assert box["x"] + box["width"] <= other["x"] + 1 <= width
    assert page.screenshot(full_page=True)[:4] == b"\x89PNG"


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 800)])
def test_the_answer_is_on_the_first_screen(
    browser: Browser, page_file: Path, width: int, height: int
) -> None:
    page = opened(browser, page_file, width)
    box = page.locator("#answer").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < height


def test_a_browser_reads_the_numbers_of_the_run(
    browser: Browser, page_file: Path, reader: RunReader
) -> None:
    shown = opened(browser, page_file, 1280).content()
    assert shown_rows(Parsed(shown).rows) == expected_rows(reader)


def test_methods_are_compared_on_a_narrow_page(browser: Browser, page_file: Path) -> None:
    """A table, whose names stay where they are when the numbers are pushed aside."""
    page = opened(browser, page_file, 390)
    table = page.locator("#averages .scroll").first
    heights = [row.bounding_box() for row in table.locator("tbody tr").all()]
    assert all(box is not None and box["height"] < 80 for box in heights), "a row each"
    boxes = [one.bounding_box() for one in table.locator("tbody tr >> nth=0").locator("td").all()]
    in_sight = [box for box in boxes if box is not None and box["x"] + box["width"] <= 390]
    assert len(in_sight) >= 5, "the name, ADCC and three more"
    short = "one => getComputedStyle(one, '::after').content"
    assert table.locator("th").nth(2).evaluate(short) == '"drop↓"'
    assert "local" in table.evaluate("one => getComputedStyle(one).backgroundAttachment"), (
        "a shade where it goes on"
    )
    before = table.locator("tbody td").first.bounding_box()
    value = table.locator("tbody td").nth(4).bounding_box()
    table.evaluate("one => one.scrollLeft = 120")
    moved = table.locator("tbody td").nth(4).bounding_box()
    assert before == table.locator("tbody td").first.bounding_box()
    assert value is not None
    assert moved is not None
    assert moved["x"] == value["x"] - 120


def test_who_prefers_the_dark_gets_it(browser: Browser, page_file: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        body = opened(browser, page_file, 1280, dark=scheme == "dark").locator("body")
        style = body.evaluate(
            "body => [getComputedStyle(body).backgroundColor, getComputedStyle(body).color]"
        )
        colours[scheme] = [sum(map(int, value[4:-1].split(","))) for value in style]
    assert colours["light"][0] > 700 > 200 > colours["light"][1]
    assert colours["dark"][0] < 200 < 600 < colours["dark"][1]


def test_printed_every_column_is_on_the_paper(browser: Browser, page_file: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    page = opened(browser, page_file, 400)  # a narrow window prints the whole table too
    titles = page.evaluate(
        "[...document.querySelectorAll('#averages thead tr:first-child th')].map(th => "
        "th.textContent)"
    )
    paper = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    width, height = paper.pages[0].mediabox.width, paper.pages[0].mediabox.height
    assert width > height
    words = " ".join(paper.pages[0].extract_text().split())
    assert len(titles) > 5
    assert [title for title in titles if title not in words] == []


EIGHTEEN = [
    *("fakecam", "centre", "randomcam", "cam", "gradcam", "xgradcam", "hirescam", "shapleycam"),
    *("gradcampp", "smoothgradcampp", "layercam", "ablationcam", "finercam", "eigencam"),
    *("eigengradcam", "kpcacam", "fem", "reciprocam"),
]


@pytest.mark.long
def test_eighteen_methods_on_three_networks_are_eight_sheets(browser: Browser, home: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    make_run(
        home / "runs" / "all.db",
        methods=EIGHTEEN,
        backbones=["resnet18", "vgg16", "resnet50"],
        images=60,
        pictures=True,
        data=home / "photos",
    )
    assert run("report", "all", "-o", str(home / "all.html"))[0] == 0
    page = opened(browser, home / "all.html", 1280)
    paper = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert len(paper.pages) <= 8
    assert "is best, ADCC" in paper.pages[0].extract_text()
