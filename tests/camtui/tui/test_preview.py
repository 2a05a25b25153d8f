"""The image under the cursor beside lists of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.tui.image_text import QUADRANTS
from camtui.tui.preview import Preview
from camtui.tui.screens.compare import ChangedScreen
from camtui.tui.widgets.gallery import Gallery
from tests.camtui.tui.support import DashboardTester, Settings, opened


def drawn(tester: DashboardTester) -> bool:
    """Whether the preview has a picture or says why it has none."""
    preview = tester.app.screen.query_one(Preview)
    return preview.display and bool(preview.query_one(Gallery)._items)


@pytest.mark.parametrize("width", [80, 109, 110, 140, 200])
async def test_the_image_under_the_cursor_is_beside_the_list_from_110_columns(
    seeded: Path, width: int
) -> None:
    async with opened(seeded, (width, 30)) as tester:
        await tester.press("2")
        await tester.until(lambda: tester.cells("images"))
        if width < 110:
            await tester.pilot.pause(0.3)
            assert not drawn(tester)
            return
        await tester.until(lambda: drawn(tester))
        before = tester.part("preview-words")
        name, value = tester.cells("images")[0][1], tester.cells("images")[0][-1]
        assert name[-8:] in before
        assert value in before
        assert set(QUADRANTS[1:]) & set(tester.text())
        await tester.press("down")
        await tester.until(lambda: tester.part("preview-words") != before)
        assert tester.cells("images")[1][-1] in tester.part("preview-words")
        await tester.press("B")
        await tester.until(lambda: not tester.app.screen.query_one(Preview).display)


async def test_a_failed_image_is_beside_the_list_of_failures(seeded: Path) -> None:
    async with opened(seeded, (140, 40)) as tester:
        await tester.press("5")
        assert not drawn(tester)
        await tester.press("tab")
        await tester.until(lambda: drawn(tester))
        assert tester.cells("log")[0][0][-8:] in tester.part("preview-words")
        await tester.press("tab")
        assert not drawn(tester)


async def test_a_changed_image_is_beside_the_list_of_changes(seeded: Path) -> None:
    async with opened(seeded, (140, 40)) as tester:
        runs = seeded, seeded
        await tester.app.push_screen(
            ChangedScreen(tester.connection, runs, ("vgg16", "gradcam"), "adcc")
        )
        await tester.until(lambda: drawn(tester))
        assert "seeded" in tester.part("preview-words")
        assert set(QUADRANTS[1:]) & set(tester.text())


async def test_no_file_is_opened_where_pictures_are_off(seeded: Path) -> None:
    async with opened(seeded, (140, 40), Settings(images="off")) as tester:
        await tester.press("2")
        await tester.until(lambda: tester.cells("images"))
        await tester.pilot.pause(0.3)
        assert not drawn(tester)
