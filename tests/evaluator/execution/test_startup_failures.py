"""Workers that die before they have begun a unit end the run, later where it has begun."""

from __future__ import annotations

import pytest

from evaluator.errors import RunFailed
from evaluator.execution.failures import MOST, StartupFailures


@pytest.mark.parametrize(("loaded_once", "most"), [(False, MOST), (True, 4 * MOST)])
def test_so_many_in_a_row_end_the_run(loaded_once: bool, most: int) -> None:
    failures = StartupFailures("camtui logs run")
    for _ in range(most - 1):
        failures.add("exit code 3", loaded_once=loaded_once)
    failures.reset()
    for _ in range(most - 1):
        failures.add("exit code 3", loaded_once=loaded_once)
    with pytest.raises(RunFailed, match=r"before they compute anything \(exit code 3\)") as raised:
        failures.add("exit code 3", loaded_once=loaded_once)
    assert raised.value.hint == "camtui logs run"
