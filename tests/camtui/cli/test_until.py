"""Runs that end by their rule, as a user types and reads them: what ``--dry-run`` says is what
happens.
"""

from __future__ import annotations

import json
import re
from csv import DictReader
from io import StringIO
from pathlib import Path

import pytest

from tests.camtui.cli.support import typed, validated
from tests.evaluator.execution.support import make_data

METHODS = "gradcam,gradcampp,scorecam"
STOPS = 100
"""Images after which the fake evaluator's three methods are known to ± 6 points."""


@pytest.fixture
def request_(home: Path) -> list[str]:
    """A request over 400 images."""
    make_data(home / "many", 400)
    return ["run", "--data", str(home / "many"), "-b", "resnet50", "-m", METHODS]


def done(*arguments: str) -> str:
    """Both outputs of a command that must succeed."""
    result = typed(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout + result.stderr


def to_do(text: str) -> list[int]:
    """Images to do, of every stage of a dry run."""
    return [int(number.replace(",", "")) for number in re.findall(r", ([\d,]+) images to do", text)]


@pytest.mark.long
def test_a_rule_from_the_first_dry_run_to_every_image(request_: list[str]) -> None:
    fresh = done(*request_, "--until", "ci<=6", "--dry-run")
    assert (
        "until     ci<=6: 0 images looked at, how many it takes is known after 50, at most 400"
        in fresh
    )
    ended = done(*request_, "--until", "ci<=6", "--no-watch")
    met = f"ci<=6: met by the first {STOPS} of 400 images"
    assert f"--until {met}" in ended
    assert "~" not in ended.split("± half")[0], "every cell has the images that count"
    assert f"state     complete: --until {met}" in done("status", "many")
    shown = done("show", "many")
    assert met in shown
    assert f"resnet50: each method is known to ± 6 points after {STOPS} images" in shown
    status = validated("status", typed("status", "many", "--json"))
    assert (status["until"]["decided_after"], status["progress"]) == (STOPS, 1)
    validated("show", typed("show", "many", "--json"))

    again = done(*request_, "--dry-run")
    assert f"until     {met}" in again
    assert to_do(again) == [0, 0]
    assert "passes    0" in again

    method = done(*request_, "-m", "layercam", "--dry-run")
    assert "layercam: not known yet" in method
    assert f"images to do: layercam {STOPS}" in method
    done(*request_, "-m", "layercam", "-q")
    assert met in done("status", "many")
    rows = {
        row["method"]: int(row["n"])
        for row in DictReader(StringIO(done("export", "many", "-f", "csv")))
    }
    assert STOPS <= rows["layercam"] <= STOPS + 64

    tighter = done(*request_, "--until", "ci<=4", "--dry-run")
    assert "--until ci<=4 instead of ci<=6" in tighter
    (said,) = re.findall(r"about (\d+) more", tighter)
    done(*request_, "--until", "ci<=4", "-q")
    (took,) = re.findall(r"met by the first (\d+)", done("status", "many"))
    assert STOPS + int(said) == pytest.approx(int(took), rel=0.1)

    every = done(*request_, "--until", "all", "--dry-run")
    assert "--until all instead of ci<=4" in every
    done(*request_, "--until", "all", "-q")
    assert "until" not in done("status", "many")


def test_what_was_dropped_is_marked_and_finished_by_resume_all(
    home: Path, request_: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"worse": ["gradcampp"]}))
    done(*request_, "--until", "decided:margin=10,drop", "-q")
    table = done("table", "many")
    (left,) = re.findall(r"left the race, certainly worse: resnet50/gradcampp after (\d+)", table)
    assert "camtui resume many --all finishes them" in " ".join(table.split())
    (line,) = [line for line in table.splitlines() if line.startswith("gradcampp ")]
    assert "~" in line
    assert "gradcampp: worse" in done("show", "many")
    (met,) = re.findall(r"met by the first (\d+)", done("status", "many"))
    assert int(left) < int(met)
    done("resume", "many", "--all", "-q")
    whole = done("table", "many")
    assert "left the race" not in whole
    assert "~" not in whole.split("± half")[0]
    assert f"met by the first {met} " in done("status", "many")


def test_a_ceiling_below_what_the_rule_needs(request_: list[str]) -> None:
    done(*request_, "-n", "80", "--until", "ci<=4", "-q")
    assert "state     complete: --until ci<=4: not met after all 80 images" in done(
        "status", "many"
    )
    extended = done(*request_, "-n", "300", "--dry-run")
    (said,) = re.findall(r"about (\d+) more", extended)
    assert to_do(extended) == [int(said), int(said)]
    done(*request_, "-n", "300", "-q")
    (took,) = re.findall(r"met by the first (\d+) of 300", done("status", "many"))
    assert 80 + int(said) == pytest.approx(int(took), rel=0.15)
