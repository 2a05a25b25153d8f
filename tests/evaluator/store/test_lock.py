"""A run has one writer, and its lock says who."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.errors import TryAgain
from evaluator.store.lock import RunLock, lock_holder, lock_path
from tests.holder import held


def test_the_lock_names_its_holder_and_is_given_back(tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    with held(database) as other:
        assert lock_holder(database) == other.pid
        with pytest.raises(TryAgain, match=f"already running, pid {other.pid}"):
            RunLock(database)
    assert lock_holder(database) is None
    RunLock(database).release(remove=True)
    assert not lock_path(database).exists()
