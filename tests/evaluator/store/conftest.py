"""Where the tests of the store keep the run's file."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a run's file; there is none yet."""
    return tmp_path / "run.db"
