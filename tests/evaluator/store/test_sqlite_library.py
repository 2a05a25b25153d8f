"""The library that writes a run's file comes alone."""

from __future__ import annotations

import subprocess
import sys

from evaluator.store.sqlite_library import absent

LOADED = """
import sys
import evaluator.store.writer
assert "sqlite_utils" in sys.modules
print(sorted({"numpy", "pandas"} & set(sys.modules)))
import numpy
print(numpy.float64(1.5))
"""


def test_a_writer_brings_neither_numpy_nor_pandas_and_forbids_neither() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == ["[]", "1.5"]


def test_modules_that_are_imported_already_stay() -> None:
    import json

    before = sys.modules["json"]
    with absent("json", "no_such_module_of_ours"):
        assert sys.modules["json"] is before is json
        assert sys.modules["no_such_module_of_ours"] is None
    assert sys.modules["json"] is before
    assert "no_such_module_of_ours" not in sys.modules
