"""A run that goes on while it is looked at."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.css.query import NoMatches
from textual.screen import Screen

from camtui.tui.run_connection import RunConnection
from evaluator.records import UnitResult
from evaluator.store.reader import RunReader
from evaluator.store.readonly import SMALL_CACHE_KIB
from evaluator.store.writer import RunWriter
from tests.camtui.tui.support import SIZES, Settings, opened, toasts
from tests.holder import held
from tests.synthetic import make_run

FAST = Settings(interval=0.05)


def shown_n(text: str) -> int:
    return int(text.split(" n ")[1].split("/")[0].replace(",", ""))


async def test_rows_appear_and_the_cursor_and_the_order_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtui.tui.screens.grid._ORDER_HOLD", 300.0)
    run = make_run(tmp_path / "run.db", images=30, state="running", partial={"vgg16/scorecam": 5})
    source = make_run(tmp_path / "whole.db", images=30)
    with RunReader(source) as reader:
        cell = next(c.id for c in reader.cells() if (c.backbone, c.method) == ("vgg16", "scorecam"))
        rows = [row for row, _, _ in reader.rows.of_cell(cell) if row.image >= 5]
    async with opened(run, settings=FAST) as tester:
        await tester.press("s", "home", "G")
        order, cursor = [row[0] for row in tester.cells()], tester.table().cursor
        writer = RunWriter(run)
        for row in rows:
            writer.rows.commit(UnitResult(rows=(row,)))
        writer.close()
        with RunReader(run) as reader:
            mean = next(s for s in reader.averages.summaries() if s.cell == cell).means["adcc"]
        await tester.until(
            lambda: any(f"{100 * mean.value:.2f}" in text for row in tester.cells() for text in row)
        )
        assert [row[0] for row in tester.cells()] == order, (
            "rows do not change places just after a key"
        )
        assert tester.table().cursor == cursor


async def test_the_watch_goes_on_when_another_run_is_opened_while_a_reading_waits(
    tmp_path: Path,
) -> None:
    first, second = (make_run(tmp_path / f"{name}.db", images=2) for name in ("first", "second"))
    async with opened(first, settings=Settings(interval=3600)) as tester:
        answered = Event()
        question = asyncio.create_task(tester.connection.ask(lambda _: answered.wait(30)))
        reading = asyncio.create_task(tester.app.poll())
        await asyncio.sleep(0)  # the reading has its place behind the question
        old, tester.app.connection = tester.connection, RunConnection(second)
        closing_old = asyncio.create_task(asyncio.to_thread(old.close))
        await tester.until(lambda: reading.done() or old._reading._shutdown)
        answered.set()
        await asyncio.gather(question, closing_old, reading)  # raises CancelledError otherwise
        assert tester.connection.path == second
        await tester.app.poll()


async def test_a_reading_that_ends_when_the_screens_are_gone_shows_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=2)
    async with opened(run, settings=Settings(interval=3600)) as tester:
        screens = tester.app._screen_stack
        kept = screens.copy()
        screens.clear()  # as Textual does when it closes
        try:
            await tester.app.poll()
        finally:
            screens.extend(kept)


async def test_an_answer_that_comes_while_its_screen_is_closed_ends_nothing(
    tmp_path: Path,
) -> None:
    async def show_late(screen: Screen[Any]) -> None:
        while screen.query("#keys"):
            await asyncio.sleep(0)
        late.append(screen)
        screen.query_one("#keys")

    late: list[Screen[Any]] = []
    run = make_run(tmp_path / "run.db", images=2)
    async with opened(run, settings=Settings(interval=3600)) as tester:
        await tester.press("enter")
        await tester.on("CellScreen")
        tester.app.screen.run_worker(show_late(tester.app.screen))
        await tester.pilot.press("escape")
        await tester.on("GridScreen")
        tester.app.screen.run_worker(show_late(tester.app.screen))
    assert len(late) == 2


async def test_a_widget_that_is_missing_on_a_screen_that_is_there_ends_the_dashboard(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run.db", images=2)
    dashboard = opened(run, settings=Settings(interval=3600))
    tester = await dashboard.__aenter__()
    tester.app.screen.call_later(tester.app.screen.query_one, "#nowhere")
    await tester.until(lambda: tester.app._exception)
    with pytest.raises(NoMatches):
        await dashboard.__aexit__(None, None, None)


async def test_what_is_asked_of_a_run_that_was_closed_is_cancelled(tmp_path: Path) -> None:
    connection = RunConnection(make_run(tmp_path / "run.db", images=2))
    connection.close()
    for question in (
        connection.poll(),
        connection.ask(lambda reader: reader.plan()),
        connection.test_ties(connection.latest, "adcc", None),
    ):
        with pytest.raises(asyncio.CancelledError):
            await question


async def test_frozen_shows_the_old_and_thawed_the_new(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    async with opened(run, SIZES["large"], settings=FAST) as tester:
        await tester.press("f")
        assert "FROZEN" in tester.part("title")
        writer = RunWriter(run)
        writer.event("info", "something new")
        await tester.until(lambda: tester.connection.latest is not tester.connection.displayed)
        assert "something new" not in tester.text()
        await tester.press("f")
        assert "FROZEN" not in tester.part("title")
        writer.close()
        await tester.until(lambda: "something new" in tester.text())


async def test_the_picture_follows_the_run_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtui.tui.screens.grid.LATEST_SECONDS", 0.0)
    run = make_run(
        tmp_path / "run.db",
        images=12,
        state="running",
        partial={"vgg16/scorecam": 5},
        pictures=True,
        failures=False,
    )
    source = make_run(tmp_path / "whole.db", images=12, failures=False)
    with RunReader(source) as reader:
        cell = next(c.id for c in reader.cells() if (c.backbone, c.method) == ("vgg16", "scorecam"))
        (row,) = [row for row, image, _ in reader.rows.of_cell(cell) if image.id == 5]
        names = [Path(os.fsdecode(reader.images.get(place).path)).name for place in (4, 5)]

    with held(run) as holder:
        async with opened(run, SIZES["large"], FAST) as tester:
            pane = tester.app.screen.query_one("#worst-pane")

            def shows(title: str, facts: str = "") -> bool:
                return title in str(pane.border_title) and facts in tester.part("worst")

            latest = "latest image of scorecam"
            await tester.until(lambda: shows(latest, names[0]))
            writer = RunWriter(run)
            writer.rows.commit(UnitResult(rows=(row,)))
            writer.close()
            await tester.until(lambda: shows(latest, names[1]))
            await tester.press("L")
            await tester.until(lambda: shows("worst image of"))
            await tester.press("L")
            await tester.until(lambda: shows(latest, names[1]))
            holder.kill()
            holder.wait()
            await tester.until(lambda: shows("worst image of"))
            await tester.press("L")
            assert "does not compute" in toasts(tester)


async def test_the_death_of_the_driver_is_on_the_screen(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with held(run) as holder:
        async with opened(run, settings=FAST) as tester:
            assert "RUNNING" in tester.part("title")
            await tester.until(lambda: "stop run" in tester.part("keys"))
            holder.kill()
            holder.wait()
            await tester.until(lambda: "CRASHED" in tester.part("title"))
            assert "camtui resume" in tester.part("title")
            await tester.until(lambda: "resume run" in tester.part("keys"))


@pytest.mark.slow
async def test_a_real_evaluation_on_real_photographs(tmp_path: Path) -> None:
    """``camtui run --demo``, watched; at its end averages on the screen are those of the rows."""
    camtui = str(Path(sys.executable).with_name("camtui"))
    environment = {**os.environ, "CAMTUI_HOME": str(tmp_path)}
    subprocess.run(
        [camtui, "run", "--demo", "-m", "gradcam,gradcampp,fakecam", "--name", "demo", "--detach"],
        env=environment,
        check=True,
        capture_output=True,
    )
    run = tmp_path / "runs" / "demo.db"
    seen: set[int] = set()
    async with opened(run, settings=Settings(interval=0.2)) as tester:
        end = time.monotonic() + 300
        while tester.connection.displayed.status.live:
            assert time.monotonic() < end
            await tester.pilot.pause(0.1)
            seen.add(shown_n(tester.heading("detail")))
        assert "COMPLETE" in tester.part("title")
        shown = {row[0]: row[1] for row in tester.cells()}
        with RunReader(run) as reader:
            for cell in reader.cells():
                rows = [row for row, _, _ in reader.rows.of_cell(cell.id)]
                drop = sum(row.average_drop or 0 for row in rows) / len(rows)
                coherency, complexity = (
                    sum(getattr(row, k) for row in rows) / len(rows)
                    for k in ("coherency", "complexity")
                )
                parts = (coherency, 1 - complexity, 1 - drop)
                adcc = 3 / sum(1 / part for part in parts) if min(parts) > 0 else 0.0
                assert shown[cell.method].split()[0].strip("~*=") == f"{100 * adcc:.2f}"


async def test_the_row_of_an_image_that_is_looked_at_comes_while_one_looks(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run.db", images=10, state="running", partial={"vgg16/scorecam": 5})
    with RunReader(make_run(tmp_path / "whole.db", images=10)) as reader:
        cell = next(c.id for c in reader.cells() if (c.backbone, c.method) == ("vgg16", "scorecam"))
        row = next(row for row, _, _ in reader.rows.of_cell(cell) if row.image == 7)
    async with opened(
        run, settings=Settings(interval=0.05, cell="vgg16/scorecam", image="7")
    ) as tester:
        await tester.until(lambda: "not evaluated yet" in tester.part("facts"))
        with closing(RunWriter(run)) as writer:
            writer.rows.commit(UnitResult(rows=(row,)))
        await tester.until(lambda: f"{row.y:.3f} → {row.o:.3f}" in tester.part("facts"))


def test_a_dashboard_that_stays_open_for_hours_keeps_few_pages_of_a_file_that_grows(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run.db", images=20)
    with closing(RunConnection(run)) as connection:
        ties = connection._ties
        ties.work(connection.latest, "adcc")
        assert ties._reader is not None
        for reader in (connection._feed.reader, ties._reader):
            (kib,) = reader.connection.execute("PRAGMA cache_size").fetchone()
            assert kib == -SMALL_CACHE_KIB
