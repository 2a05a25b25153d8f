"""The screens before there is a run: one that is being started, and none yet.

Real drivers with the fake evaluator are behind the first.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from camtui.launch import LOOK_SECONDS, LaunchedRun, Left, Start, Step, launch
from camtui.tui.app import Dashboard
from evaluator.errors import CamtuiError
from evaluator.store.files import lock_holder
from tests.camtui.tui.support import SIZES, DashboardTester, Settings, opened, toasts
from tests.camtui.tui.test_snapshots import compared
from tests.evaluator.execution.support import ROOT, Run, make_data, make_plan
from tests.fake_session import DOTTED


def work(start: Start) -> LaunchedRun:
    return launch(start.request, start.lines.extend, start.look, start.tell, every=LOOK_SECONDS)


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file: while it is there no network is loaded, so that a start is seen however busy the
    machine is.
    """
    gate = tmp_path / "loading"
    gate.touch()
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"load_gate": str(gate)}))
    return gate


@pytest.fixture
def run(tmp_path: Path, loading: Path) -> Run:
    """A run that waits for its network."""
    (tmp_path / "runs").mkdir()
    return Run(tmp_path / "runs" / "new.db", make_plan(make_data(tmp_path / "data", 6)))


@asynccontextmanager
async def starting(
    start: Start, size: tuple[int, int] = SIZES["usual"]
) -> AsyncIterator[DashboardTester]:
    app = Dashboard(None, Settings(interval=0.1), start)
    async with app.run_test(size=size) as pilot:
        yield DashboardTester(app, pilot)


async def test_a_run_that_is_being_started_says_what_is_done_and_becomes_the_grid(
    run: Run, loading: Path
) -> None:
    start = Start(run.request(), work)
    start.begin()
    async with starting(start) as tester:
        await tester.until(lambda: "resnet50: loading its weights" in tester.text())
        text = tester.text()
        assert "new ◌ STARTING" in text
        assert "✓ images   6 images listed and hashed" in text
        assert "✓ worker   starting on cpu" in text
        assert "q detach" in text
        assert "1 network × 3 methods: resnet50" in text
        loading.unlink()
        await tester.on("GridScreen")
        assert tester.app.start is None
    assert isinstance(start.outcome, LaunchedRun)
    assert list(start.steps) == ["images", "worker", "network"]
    assert run.wait().state == "complete"


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving_a_start_lets_the_run_begin(run: Run, loading: Path, key: str) -> None:
    start = Start(run.request(), work)
    start.begin()
    async with starting(start) as tester:
        await tester.until(lambda: re.search("◌ (worker|network)", tester.text()))
        await tester.pilot.press(key)
    start.leave()
    loading.unlink()
    assert isinstance(start.outcome, Left)
    assert "new is being started. Back to it: camtui watch" in tester.app.exit_message
    assert run.wait().state == "complete"


async def test_giving_a_start_up_leaves_nothing_behind(run: Run) -> None:
    start = Start(run.request(), work)
    start.begin()
    async with starting(start) as tester:
        await tester.until(lambda: re.search("◌ (worker|network)", tester.text()))
        await tester.ask("x")
        await tester.press("enter")
        assert tester.screen_name() == "StartingScreen", "Enter is No"
        await tester.ask("x")
        await tester.press("y")
        await tester.until(lambda: start.outcome is not None)
    assert isinstance(start.outcome, KeyboardInterrupt)
    assert lock_holder(run.db) is None
    assert list(run.db.parent.iterdir()) == []


async def test_what_fails_before_the_run_has_begun_ends_the_dashboard(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"unavailable": ["resnet50"]}))
    start = Start(run.request(), work)
    start.begin()
    async with starting(start) as tester:
        await tester.until(lambda: not tester.app.is_running or tester.app._exit)
    assert isinstance(start.outcome, CamtuiError)
    assert tester.app.exit_message == ""


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_a_start(run: Run, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def wait(_: Start) -> LaunchedRun:
        over.wait()
        raise Left

    start = Start(run.request(), wait)
    for when, step in (
        (100.0, Step("images", "12,288 images listed and hashed", 1.0)),
        (104.0, Step("weights", "fetching the weights of resnet50", 0.4)),
    ):
        start.since[step.step] = when
        start.tell(step)
    monkeypatch.setattr("camtui.tui.screens.start.time", SimpleNamespace(monotonic=lambda: 116.0))
    start.begin()
    async with starting(start, SIZES[size]) as tester:
        await tester.settle()
        await compared(tester, "starting", SIZES[size])
        over.set()


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_the_first_screen(size: str) -> None:
    async with opened(None, SIZES[size]) as tester:
        await compared(tester, "welcome", SIZES[size])


async def test_d_starts_the_demo_and_says_why_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_DRIVER", json.dumps({"session": "tests.nowhere:open_session"}))
    async with opened(None) as tester:
        await tester.press("d")
        assert "starting the demo" in toasts(tester)
        await tester.until(lambda: "error:" in toasts(tester))
    monkeypatch.setenv("CAMTUI_DRIVER", json.dumps({"session": DOTTED}))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytest.importorskip("skimage")
    async with opened(None, settings=Settings(interval=0.1)) as tester:
        await tester.press("d")
        await tester.on("GridScreen")
        assert "demo" in tester.part("title")
        await tester.until(lambda: "COMPLETE" in tester.part("title"))


async def test_first_screen_names_the_two_commands_and_opens_the_first_run(
    tmp_path: Path, seeded: Path
) -> None:
    app = Dashboard(None, Settings(interval=0.1))
    async with app.run_test(size=SIZES["usual"]) as pilot:
        await pilot.pause()
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "camtui run --demo" in text
        assert "camtui run --data" in text
        await pilot.press("1", "e", "x", "colon", "escape")
        folder = tmp_path / "home" / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(seeded, folder / "new.db")
        await DashboardTester(app, pilot).on("GridScreen")
