"""A driver whose file may not grow beyond the number of pages that a file names: a disk that is
full for a while.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from evaluator.execution import driver
from evaluator.execution.request import RunRequest
from evaluator.records import UnitResult
from evaluator.store.row_writer import RowWriter

_commit = RowWriter.commit


def commit(
    self: RowWriter, result: UnitResult, *, stage: int | None = None, images: int = 0
) -> int:
    pages = int(Path(os.environ["CAMTUI_TEST_PAGES"]).read_text())
    self._file.execute(f"PRAGMA max_page_count={pages}")
    return _commit(self, result, stage=stage, images=images)


if __name__ == "__main__":
    RowWriter.commit = commit  # type: ignore[method-assign]
    sys.exit(driver.carry_out(RunRequest.from_json(sys.argv[1]), lambda line: None))
