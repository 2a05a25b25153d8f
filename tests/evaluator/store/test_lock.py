"""A run has one writer, and its lock says who."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.errors import TryAgain
from evaluator.store.lock import RunLock, lock_holder, lock_path
from tests.evaluator.execution.support import ROOT


def test_the_lock_names_its_holder_and_is_given_back(tmp_path: Path) -> None:
    database = tmp_path / "run.db"
    code = "import sys; from pathlib import Path; from evaluator.store.lock import RunLock"
    code += "; RunLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert lock_holder(database) == other.pid
        with pytest.raises(TryAgain, match=f"already running, pid {other.pid}"):
            RunLock(database)
        other.kill()
    assert lock_holder(database) is None
    RunLock(database).release(remove=True)
    assert not lock_path(database).exists()
