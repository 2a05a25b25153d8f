"""The screens as pictures, from a seeded run, in a size of each layout.

``CAMTUI_SNAPSHOTS=write pytest …`` writes them anew; then look at them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from camtui.tui.screens.compare import CompareScreen
from tests.camtui.tui.support import SIZES, DashboardTester, opened
from tests.synthetic import make_run

FOLDER = Path(__file__).parent / "snapshots"
SCREENS = {
    "grid": (),
    "long": ("v",),
    "cell": ("2",),
    "image": ("3",),
    "log": ("5",),
    "help": ("question_mark",),
}
PICTURES = {
    "gallery": ("3", "A"),
    "played": ("3", "space", "left", *["right"] * 9),
    "two": ("3", "vertical_line"),
    "compare": (),
    "changed": ("enter",),
}
PICTURE_SIZES = [(80, 24), (140, 40), (200, 55)]


@pytest.fixture(scope="session")
def worse(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the images of the seeded one whose drops are higher."""
    path = tmp_path_factory.mktemp("worse") / "worse.db"
    return make_run(path, shift=0.1, data=seeded.parent / "data", pictures=True)


def normalised(svg: str) -> str:
    """Without what differs between two equal pictures: the drawing's own names, and where the run
    lies.
    """
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return re.sub(r"(/tmp/|/var/)[^ <&]*", "RUN", svg)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", SCREENS)
async def test_screen(
    seeded: Path, screen: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Path(os.path.relpath(seeded))
    monkeypatch.setattr("camtui.status.reference", lambda path: "seeded")
    async with opened(short, SIZES[size]) as tester:
        await tester.press(*SCREENS[screen])
        if screen in ("grid", "long"):
            await tester.until(lambda: "▕" in tester.part("detail"))
            await tester.until(
                lambda: sum(text.endswith("=") for row in tester.cells() for text in row) >= 3
            )
        if screen == "cell":
            await tester.until(lambda: "0" in tester.part("convergence"))
        await tester.pilot.pause(0.6)
        await compared(tester, screen, SIZES[size])


@pytest.mark.parametrize("size", PICTURE_SIZES, ids=str)
@pytest.mark.parametrize("screen", PICTURES)
async def test_screen_of_pictures(
    seeded: Path,
    worse: Path,
    screen: str,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("camtui.status.reference", lambda path: "seeded")
    monkeypatch.setattr("camtui.tui.screens.image.FRAME", 3600.0)  # played by hand
    async with opened(Path(os.path.relpath(seeded)), size) as tester:
        if screen in ("compare", "changed"):
            await tester.app.push_screen(CompareScreen(tester.connection, seeded, worse))
            await tester.until(lambda: tester.cells("differences"))
        await tester.press(*PICTURES[screen])
        await tester.pilot.pause(0.5)
        await compared(tester, screen, size)


async def compared(tester: DashboardTester, screen: str, size: tuple[int, int]) -> None:
    """Compare what is shown with the picture of that name, or write it."""
    await tester.settle()
    found = normalised(tester.app.export_screenshot(title=f"camtui {screen}"))
    file = FOLDER / "{}-{}x{}.svg".format(screen, *size)
    if os.environ.get("CAMTUI_SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(found, "utf-8")
    if found != file.read_text("utf-8"):
        unlike = Path(os.environ.get("TMPDIR", "/tmp")) / f"unlike-{file.name}"
        unlike.write_text(found, "utf-8")
        pytest.fail(f"{file.name} is not what is shown; compare with {unlike}")
