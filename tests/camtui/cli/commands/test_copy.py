"""``camtui copy``: whole, alone, of a live run too; and what a plain copy lacks is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from stat import S_IMODE

from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed
from tests.evaluator.store.runs import begun, result, row


def test_a_run_that_is_being_written_is_copied_whole(tmp_path: Path) -> None:
    path, target = tmp_path / "live.db", tmp_path / "copy.db"
    with begun(path) as writer:
        writer.rows.commit(result(row(1, 0), row(1, 1)))
        done = typed("copy", str(path), str(target))
        assert (done.exit_code, done.stderr) == (0, f"wrote {target}\n")
    assert S_IMODE(target.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.glob("copy*")] == ["copy.db"]
    with RunReader(target) as reader:
        assert [found.image for found in reader.rows.every_row()] == [0, 1]
        assert audit(reader) == []
    again = typed("copy", str(path), str(target))
    assert again.exit_code == 2
    assert "exists" in again.stderr


def test_a_plain_copy_of_a_live_run_is_a_run_if_not_all_of_it(tmp_path: Path) -> None:
    path, target = tmp_path / "live.db", tmp_path / "copy.db"
    with begun(path) as writer:
        shutil.copyfile(path, target)
        writer.rows.commit(result(row(1, 0)))
    with RunReader(target) as reader:
        assert reader.plan().methods == ("gradcam", "fakecam")
        assert len(reader.images.between(0, 9)) == 4


def test_an_empty_database_is_told_from_a_foreign_one(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    said = typed("status", str(tmp_path / "empty.db"))
    assert said.exit_code == 4
    assert "without its empty.db-wal?" in said.stderr
    assert "camtui copy RUN" in said.stderr
