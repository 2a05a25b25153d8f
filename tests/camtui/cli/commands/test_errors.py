"""``camtui errors``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.cli.support import METHODS, typed, validated
from tests.synthetic import make_run

pytestmark = pytest.mark.usefixtures("two_runs")


def test_errors_by_reason_and_image() -> None:
    text = typed("errors", "good").stdout
    assert text.splitlines()[0] == "truncated 1"
    assert "(7 network × method)" in text
    document = validated("errors", typed("errors", "good", "--json"))
    assert document["total"] == 1
    assert len(document["errors"][0]["cells"]) == 7


def test_a_run_without_errors_says_so(two_runs: Path) -> None:
    make_run(two_runs / "runs" / "clean.db", methods=METHODS, failures=False)
    result = typed("errors", "clean")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no failures" in result.stderr


def test_a_list_that_is_cut_says_so(two_runs: Path) -> None:
    from evaluator.records import Failure, UnitResult
    from evaluator.store.writer import RunWriter

    writer = RunWriter(
        make_run(
            two_runs / "runs" / "bad.db",
            methods=["cam"],
            backbones=["resnet18"],
            partial={"resnet18/cam": 1},
        )
    )
    writer.rows.commit(
        UnitResult(
            failures=tuple(
                Failure(1, image, "", "missing", "no such file") for image in range(1, 31)
            )
        )
    )
    writer.close()
    result = typed("errors", "bad", "-n", "10")
    assert len(result.stdout.splitlines()) == 11
    assert "10 of 30 shown" in result.stderr
    assert validated("errors", typed("errors", "bad", "-n", "10", "--json"))["truncated"]


def test_rows_without_a_drop_are_named_though_they_are_no_failures(two_runs: Path) -> None:
    make_run(two_runs / "runs" / "clean.db", methods=METHODS, failures=False)
    result = typed("errors", "clean")
    assert "average drop and ADCC of 1 image undefined: y is 0" in result.stderr
    assert "ILSVRC2012_val_00000001.png  (7 network × method)" in result.stderr
    document = validated("errors", typed("errors", "clean", "--json"))
    assert (document["total"], len(document["undefined"])) == (0, 1)
    assert len(document["undefined"][0]["cells"]) == 7
