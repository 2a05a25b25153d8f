from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.store.reader import RunReader
from tests.camtui.figures.support import METHODS
from tests.synthetic import make_run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    make_run(tmp_path / "runs" / "pics.db", methods=METHODS, images=12, pictures=True)
    return tmp_path


@pytest.fixture
def reader(home: Path) -> RunReader:
    return RunReader(home / "runs" / "pics.db")
