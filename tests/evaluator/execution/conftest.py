"""Fixtures of real drivers with the fake evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluator.interfaces import Executor, SessionSettings
from tests.evaluator.execution.support import ROOT, Run, make_data, make_plan

NewRun = Callable[..., Run]
OpenExecutor = Callable[[SessionSettings, int], Executor]


@pytest.fixture(autouse=True)
def _drivers_find_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def knobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Set the knobs of the fake evaluator for the workers that are started from now on."""

    def turn(**values: Any) -> None:
        monkeypatch.setenv("CAMTUI_FAKE", json.dumps(values))
        for folder in (tmp_path, tmp_path / "data"):
            if folder.is_dir():
                (folder / "fake.json").write_text(json.dumps(values))

    return turn


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """A run over so many images, not yet launched."""

    def make(images: int = 20, *, bad: int = 0, **changes: Any) -> Run:
        data = make_data(tmp_path / "data", images, bad)
        return Run(tmp_path / "run.db", make_plan(data, **changes))

    return make


@pytest.fixture(scope="module")
def started_ray() -> Iterator[None]:
    """A Ray of camtui's own in this process; one module may use it: a process can hold one token
    only.
    """
    from evaluator.execution.ray_cluster import start_private_ray

    leave = start_private_ray(cuda=False)
    yield
    leave()


@pytest.fixture
def ray_executors(started_ray: None) -> OpenExecutor:
    """Opens executors on the Ray that is there."""
    from tests.evaluator.execution.on_ray import open_executor

    return open_executor
