"""Requests to a driver as JSON, and the limit of failures."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.errors import UsageError
from evaluator.execution.request import DriverSettings, FailureLimit, RunRequest
from tests.evaluator.execution.support import make_data, make_plan


def test_a_request_survives_its_journey(tmp_path: Path) -> None:
    plan = make_plan(make_data(tmp_path / "data", 1), metrics=("deletion",))
    strange = Path(os.fsdecode(b"/tmp/\xff \n.db"))
    request = RunRequest(
        strange,
        "n",
        plan,
        DriverSettings(devices=("cpu", "cuda:1"), max_failures="3"),
        retry_failed=True,
    )
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
