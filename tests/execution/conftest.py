"""Fixtures of real drivers with the fake evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.execution.support import ROOT, Run, make_data, make_plan

NewRun = Callable[..., Run]


@pytest.fixture(autouse=True)
def _drivers_find_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def knobs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the knobs of the fake evaluator for the workers that are started from now on."""

    def turn(**values: Any) -> None:
        monkeypatch.setenv("CAMTUI_FAKE", json.dumps(values))

    return turn


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """A run over so many images, not yet launched."""

    def make(images: int = 20, *, bad: int = 0, **changes: Any) -> Run:
        data = make_data(tmp_path / "data", images, bad)
        return Run(tmp_path / "run.db", make_plan(data, **changes))

    return make
