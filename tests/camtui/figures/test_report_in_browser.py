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
    assert run("report", "pics", "-o", str(file), "--worst", "1")[0] == 0
    return file


def opened(browser: Browser, file: Path, width: int, *, dark: bool = False) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("width", [1280, 800, 400])
def test_nothing_is_cut_at_any_width_and_adcc_is_seen_first(
    browser: Browser, page_file: Path, width: int
) -> None:
    page = opened(browser, page_file, width)
    assert page.evaluate(OVERFLOWING) == []
    row = page.locator("#averages tbody tr").nth(
        1
    )  # the first is CAM or Fake-CAM, whichever the run begins with
    value = row.locator("td.headline .value")
    assert value.is_visible()
    box, first = value.bounding_box(), row.locator("td").nth(2).bounding_box()
    assert box is not None
    assert first is not None
    assert (
        (box["x"], box["y"]) < (first["x"], first["y"] + 1)
        if width > 960
        else box["y"] < first["y"]
    )
    assert page.screenshot(full_page=True)[:4] == b"\x89PNG"


def test_a_browser_reads_the_numbers_of_the_run(
    browser: Browser, page_file: Path, reader: RunReader
) -> None:
    shown = opened(browser, page_file, 1280).content()
    assert shown_rows(Parsed(shown).rows) == expected_rows(reader)


def test_a_narrow_page_names_every_number(browser: Browser, page_file: Path) -> None:
    page = opened(browser, page_file, 400)
    cell = page.locator("#averages td.headline").first
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"ADCC ↑"'
    assert page.locator("#averages thead").first.is_hidden()


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
