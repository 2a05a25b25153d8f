from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.synthetic import make_run

NOW = 1_764_000_000.0


@pytest.fixture(autouse=True)
def _plain_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("NO_COLOR", "FORCE_COLOR", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    # whatever terminal the tests are started from
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "256")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 40 images with pictures and curves, of the same digits everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("writer", "row_writer"):
            patch.setattr(f"evaluator.store.{module}.time", SimpleNamespace(time=lambda: NOW))
        return make_run(tmp_path_factory.mktemp("runs") / "seeded.db", pictures=True)


@pytest.fixture(scope="session")
def partial_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that says it is running while nobody holds its lock: it has crashed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("writer", "row_writer"):
            patch.setattr(f"evaluator.store.{module}.time", SimpleNamespace(time=lambda: NOW))
        return make_run(
            tmp_path_factory.mktemp("runs") / "part.db",
            state="running",
            partial={"vgg16/gradcam": 10, "vgg16/scorecam": 0, "vgg16/gradcampp": 25},
        )
