"""The small parts of execution: halving, checking, the lock, network file systems, requests, failure limits."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.errors import TryAgain, UsageError
from evaluator.execution.checking import checked, failed, pairs_of
from evaluator.execution.request import DriverSettings, FailureLimit, RunRequest
from evaluator.execution.suspects import Suspects, halves
from evaluator.records import Failure, ImageRef, StoredMap, Unit, UnitResult
from evaluator.store.filesystem import file_system, refuse_network
from evaluator.store.lock import RunLock, lock_holder, lock_path
from tests.evaluator.execution.support import ROOT, make_data, make_plan
from tests.fake_session import fake_measurement, fake_row

IMAGES = tuple(ImageRef(n, b"%d.jpg" % n, 1, None) for n in range(5))
ROWS = Unit(1, 1, 0, (10, 11), ("a", "b"), IMAGES)
CURVES = replace(
    ROWS, metrics=("deletion", "insertion"), maps={(c, i.id): StoredMap(0, 0.5, None) for c in (10, 11) for i in IMAGES}
)


@pytest.mark.parametrize("unit", [ROWS, CURVES])
def test_halving_ends_in_single_pairs_and_loses_none(unit: Unit) -> None:
    pending, single = [unit], []
    while pending:
        part = pending.pop()
        parts = halves(part)
        pending += parts
        if not parts:
            single.append(part)
    assert all(len(list(pairs_of(part))) == 1 for part in single)
    assert sorted(pair for part in single for pair in pairs_of(part)) == sorted(pairs_of(unit))
    assert all(set(part.maps) == {(c, i.id) for c in part.cells for i in part.images if unit.maps} for part in single)


def test_a_suspect_keeps_its_record_under_another_id() -> None:
    suspects = Suspects()
    assert suspects.blamed(ROWS) == 1
    suspects.renamed(ROWS, replace(ROWS, id=2))
    assert suspects.blamed(replace(ROWS, id=2)) == 2
    suspects.half_of(replace(ROWS, id=3))
    assert suspects.blamed(replace(ROWS, id=3)) == 2
    suspects.cleared(3)
    assert suspects.blamed(replace(ROWS, id=3)) == 1


def test_what_an_evaluator_leaves_out_or_gets_wrong_becomes_a_failure() -> None:
    good, absurd = fake_row(10, "n", "a", 0), replace(fake_row(10, "n", "a", 1), coherency=1.5)
    result = checked(replace(ROWS, cells=(10,), images=IMAGES[:3]), UnitResult(rows=(good, absurd)))
    assert result.rows == (good,)
    assert [(f.image, f.reason) for f in result.failures] == [(1, "out-of-range"), (2, "no-result")]
    curve = replace(fake_measurement(10, "n", "a", 0, "deletion"), value=float("inf"))
    unit = replace(CURVES, cells=(10,), images=IMAGES[:1], metrics=("deletion",))
    result = checked(unit, UnitResult(measurements=(curve,)))
    assert result.failures == (Failure(10, 0, "deletion", "not-finite", "deletion is inf"),)


def test_a_unit_as_failures() -> None:
    assert len(failed(CURVES, "kills-worker", "signal 9").failures) == 2 * 5 * 2


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


@pytest.mark.parametrize(("folder", "kind"), [
    ("/home/x/runs", "nfs4"), ("/home", "nfs4"), ("/homes", "ext4"), ("/mnt/with space/a", "fuse.sshfs"), ("/tmp", "tmpfs"),
])  # fmt: skip
def test_which_file_system_a_folder_is_on(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\nserver:/h /home nfs4 rw 0 0\nx /mnt/with\\040space fuse.sshfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
    )
    assert file_system(Path(folder), mounts) == kind


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/h {os.path.realpath(tmp_path)} cifs rw 0 0\n")
    with pytest.raises(UsageError, match="network file system .cifs.") as caught:  # noqa: RUF043
        refuse_network(tmp_path / "run.db", mounts)
    assert "--db" in caught.value.hint
    refuse_network(tmp_path / "run.db", tmp_path / "no such file")


def test_a_request_survives_its_journey(tmp_path: Path) -> None:
    plan = make_plan(make_data(tmp_path / "data", 1), metrics=("deletion",))
    strange = Path(os.fsdecode(b"/tmp/\xff \n.db"))
    request = RunRequest(strange, "n", plan, DriverSettings(devices=("cpu", "cuda:1"), max_failures="3"), retry_failed=True)
    assert RunRequest.from_json(request.to_json()) == request
    assert RunRequest.from_json(replace(request, plan=None).to_json()).plan is None


def test_failure_limits() -> None:
    assert not FailureLimit().passed(10**9, 1)
    assert FailureLimit.parse("0").passed(1, 100)
    assert not FailureLimit.parse("5").passed(5, 100)
    assert FailureLimit.parse("1.5%").passed(2, 100)
    assert str(FailureLimit.parse("1.5%")) == "1.5%"
    for wrong in ("x", "-1", "101%", "%", "1.5"):
        with pytest.raises(UsageError):
            FailureLimit.parse(wrong)
