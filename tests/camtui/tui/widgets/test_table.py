from __future__ import annotations

from typing import Any

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.color import Color
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region

from camtui.format import Field, TableColumn
from camtui.tui.theme import contrast, textual_theme
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import CursorMoved, EndNear, LineTable, RowOpened

COLUMNS = [
    TableColumn("name", "name", width=8, numeric=False),
    *(TableColumn(f"c{i}", f"col {i}", width=6) for i in range(6)),
]


def rows(count: int, value: str = "1.00") -> list[Line]:
    return [
        Line(f"row {i}", (Field(f"row {i}"), *(Field(value) for _ in range(6))))
        for i in range(count)
    ]


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.register_theme(textual_theme("okabe-dark"))
        self.theme = "okabe-dark"
        self.seen: list[object] = []

    def compose(self) -> ComposeResult:
        yield LineTable(id="table", choose_cells=True)

    def on_cursor_moved(self, message: CursorMoved) -> None:
        self.seen.append(message)

    def on_row_opened(self, message: RowOpened) -> None:
        self.seen.append(message)

    def on_end_near(self, message: EndNear) -> None:
        self.seen.append(message)


class Watched(LineTable):
    """Remembers which regions it asked to be painted."""

    def __init__(self) -> None:
        super().__init__(id="table", choose_cells=True)
        self.painted: list[tuple[Region, ...]] = []

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Watched:
        if hasattr(self, "painted"):
            self.painted.append(regions)
        super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        return self


async def test_one_region_for_each_row_that_changed_and_none_for_the_rest() -> None:
    class WatchedHost(Host):
        def compose(self) -> ComposeResult:
            yield Watched()

    app = WatchedHost()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(Watched)
        table.show(COLUMNS, rows(10))
        await pilot.pause()
        table.painted.clear()
        table.show(COLUMNS, rows(10))
        assert table.painted == []
        changed = rows(10)
        for place in (2, 7):
            changed[place] = Line(f"row {place}", tuple(Field("2.00") for _ in range(7)))
        table.show(COLUMNS, changed)
        assert table.painted == [(Region(0, 3, 80, 1),), (Region(0, 8, 80, 1),)]


async def test_a_title_that_is_as_before_paints_nothing() -> None:
    painted: list[str] = []

    class WatchedLines(TextLines):
        def refresh(self, *regions: Region, **options: Any) -> Any:
            painted.append(self._title)
            return super().refresh(*regions, **options)

    class WatchedHost(Host):
        def compose(self) -> ComposeResult:
            yield WatchedLines(id="panel")

    app = WatchedHost()
    async with app.run_test(size=(80, 24)) as pilot:
        panel = app.query_one(WatchedLines)
        panel.set_title("first")
        panel.show([[Field("one")]])
        await pilot.pause()
        painted.clear()
        panel.set_title("first")
        panel.show([[Field("one")]])
        assert painted == []
        panel.set_title("second")
        assert painted
        assert str(panel.border_title) == "second"


async def test_the_cursor_stays_on_its_key_when_rows_come_and_go() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(5))
        table.select("row 3", "c2")
        await pilot.pause()
        table.show(COLUMNS, rows(5)[::-1])
        assert table.cursor == ("row 3", "c2")
        table.show(COLUMNS, rows(3))
        assert table.cursor[0] in ("row 0", "row 1", "row 2")
        table.show(COLUMNS, [], empty="nothing")
        assert table.cursor[0] is None
        await pilot.press("enter", "down", "up", "G", "home", "pagedown")


async def test_columns_follow_the_cursor_and_the_first_stays() -> None:
    app = Host()
    async with app.run_test(size=(30, 10)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(3))
        table.focus()
        await pilot.press("l", "l", "l", "l", "l", "l")
        assert table.cursor[1] == "c5"
        await pilot.pause()
        text = table.render_line(0).text
        assert text.startswith("‹name")
        assert "col 5" in text
        await pilot.press("h", "h", "h", "h", "h", "h")
        assert table.cursor[1] == "c0"
        assert table.render_line(0).text.endswith("›")


async def test_messages_say_where_the_cursor_is_and_when_more_is_wanted() -> None:
    app = Host()
    async with app.run_test(size=(80, 10)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(60))
        table.focus()
        await pilot.press("down")
        assert app.seen == [CursorMoved("table", "row 1", "c0")]
        await pilot.press("G", "enter")
        assert EndNear("table") in app.seen
        assert RowOpened("table", "row 59", "c0") in app.seen


async def test_enter_waits_for_rows_that_are_expected_and_for_no_others() -> None:
    app = Host()
    async with app.run_test(size=(80, 10)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(3))
        table.focus()
        table.expect()
        await pilot.press("enter")
        assert app.seen == []
        table.show(COLUMNS, rows(3)[1:])
        await pilot.pause()
        assert app.seen == [RowOpened("table", "row 1", "c0")]
        table.expect()
        await pilot.press("enter")
        table.expect(rows=False)
        table.show(COLUMNS, rows(3))
        await pilot.pause()
        assert len(app.seen) == 1


async def test_the_mouse_is_not_needed_but_works() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(10))
        await pilot.click(table, offset=(25, 4))
        assert table.cursor == ("row 3", "c2")
        await pilot.click(table, offset=(25, 4), times=2)
        assert any(isinstance(message, RowOpened) for message in app.seen)
        await pilot.click(table, offset=(25, 20))
        assert table.cursor[0] == "row 3"


def wheel(table: LineTable, kind: type[MouseScrollDown] | type[MouseScrollUp]) -> None:
    """One notch, as the terminal's driver hands it on."""
    table.post_message(kind(table, 5, 5, 0, 0, 0, False, False, False))


async def test_the_wheel_moves_the_cursor_and_a_click_on_a_name_keeps_the_column() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(10))
        table.select("row 3", "c2")
        for kind, row in (
            (MouseScrollDown, "row 4"),
            (MouseScrollUp, "row 3"),
            (MouseScrollUp, "row 2"),
        ):
            wheel(table, kind)
            await pilot.pause()
            assert table.cursor == (row, "c2")
        await pilot.click(table, offset=(2, 7))
        assert table.cursor == ("row 6", "c2")


async def test_where_whole_rows_are_chosen_a_click_chooses_one() -> None:
    class Rows(Host):
        def compose(self) -> ComposeResult:
            yield LineTable(id="table")

    app = Rows()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.show(COLUMNS, rows(10))
        before = table.cursor
        await pilot.click(table, offset=(25, 4))
        assert table.cursor == ("row 3", before[1])


async def test_a_list_that_does_not_fit_says_where_one_is() -> None:
    app = Host()
    async with app.run_test(size=(80, 10)) as pilot:
        table = app.query_one(LineTable)
        table.focus()

        def foot() -> str:
            return table.render_line(9).text.strip()

        table.show(COLUMNS, rows(9))
        assert foot().startswith("row 8"), "all of them fit"
        table.show(COLUMNS, rows(40))
        assert foot() == "1–8 of 40 ▼32"
        await pilot.press("G")
        assert foot() == "33–40 of 40 ▲32"
        table.show(COLUMNS, rows(40), more=True)
        assert foot() == "33–40 of 40+ ▲32 ▼0+"
        await pilot.press("home", "pagedown")
        assert foot() == "1–8 of 40+ ▼32+"


async def test_rows_apart_are_last_dim_and_below_a_rule() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.focus()
        lines = rows(6)
        table.show(COLUMNS, [Line("control", lines[0].fields, apart=True), *lines[1:]])
        assert [line.key for line in table.lines][-1] == "control"
        drawn = [table.render_line(y) for y in range(1, 8)]
        assert set(drawn[5].text.strip()) == {"─"}
        dim = table._style("dim").color
        assert {segment.style.color for segment in drawn[6] if segment.text.strip()} == {dim}  # type: ignore[union-attr]  # all have one
        found = []
        for key in ("G", "up"):
            await pilot.press(key)
            found.append(table.cursor[0])
        for y in (6, 7):
            await pilot.click(table, offset=(5, y))
            found.append(table.cursor[0])
        assert found == ["control", "row 5", "row 5", "control"], "the rule is no row"
        table.show(COLUMNS, [Line("control", lines[0].fields, apart=True)])
        assert "─" not in table.render_line(1).text, "nothing to be apart from"


@pytest.mark.parametrize("system", ["standard", "256", "truecolor"])
async def test_of_16_colours_the_row_under_the_cursor_has_that_of_text(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", system)
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LineTable)
        table.focus()
        await pilot.pause()
        roles = ("best", "error", "warn", "dim", "accent")
        line = (Field("row"), *(Field("1.00*", role) for role in roles))
        table.show(COLUMNS, [Line("best", line)])
        styles = [segment.style or Style() for segment in table.render_line(1)][1:]
        (chosen,) = (style for style in styles if style.reverse)
        assert (chosen.color is None and chosen.bgcolor is None) is (system == "standard")
        others = {style.color for style in styles if not style.reverse}
        assert (len(others) == 1) is (system == "standard")
        if chosen.color and chosen.bgcolor:
            pair = (Color.from_rich_color(one) for one in (chosen.color, chosen.bgcolor))
            assert contrast(*pair) > 4.5
