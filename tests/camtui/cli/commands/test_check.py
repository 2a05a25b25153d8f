"""``camtui check`` on a file of the user's, on camtui's own, and on what cannot be checked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from camtui.code_resolver import allowed_before
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import camtui
from tests.evaluator.test_user_code_checks import METHOD


@pytest.mark.long
def test_a_file_that_passes_and_one_that_does_not(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = home / "good one.py"
    good.write_text(METHOD.replace("1 + channels", "1"))
    done = camtui("check", f"{good}:MyCAM:beta=2")
    assert done.returncode == 0, done.stderr
    assert "mycam:beta=2 passes" in done.stderr
    assert "ok     passes                         1 declared, 1 counted" in done.stdout
    assert {reference for reference, _ in allowed_before()} == {f"{good}:MyCAM"}
    (home / "bad.py").write_text(METHOD)
    bad = camtui("check", f"{home}/bad.py:MyCAM", "--json")
    assert bad.returncode == 1
    told = json.loads(bad.stdout)
    schema = json.loads(typed("schema", "check").stdout)
    jsonschema.Draft202012Validator(schema).validate(told)
    assert not told["passed"]
    assert {(rule["rule"], rule["found"]) for rule in told["rules"] if rule["passed"] is False} == {
        ("passes", "7 declared, 1 counted (GAP + linear head)"),
        ("passes", "7 declared, 1 counted (deep head)"),
    }
    metric = camtui("check", f"{good}:METRIC")
    assert metric.returncode == 0, metric.stderr
    assert "kept passes: camtui run --data FOLDER -b resnet50 --metric" in metric.stderr


@pytest.mark.parametrize(
    ("reference", "code", "words"),
    [
        ("gradcan", 2, "did you mean 'gradcam'"),
        ("nothing.py:MyCAM", 4, "cannot read"),
        pytest.param("{home}/mine.py:Method", 2, "has no key", marks=pytest.mark.long),
        pytest.param(
            "{home}/mine.py:dataclass", 2, "an nn.Module was expected", marks=pytest.mark.long
        ),
        pytest.param("{home}/dies.py:MyCAM", 1, "ended with exit code 3", marks=pytest.mark.long),
    ],
)
def test_what_cannot_be_checked(home: Path, reference: str, code: int, words: str) -> None:
    (home / "mine.py").write_text(METHOD)
    (home / "dies.py").write_text("import os\nos._exit(3)")
    done = camtui("check", reference.format(home=home))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len([line for line in lines if not line.startswith("checking ")]) <= 2


@pytest.mark.long
def test_how_far_another_library_is_from_ours(home: Path) -> None:
    asked = ["check", "pytorch_grad_cam:GradCAMPlusPlus", "--against", "gradcampp"]
    asked += ["-b", "synthetic_cnn,resnet5"]
    done = camtui(*asked)
    assert done.returncode == 0, done.stderr
    *images, refused = done.stdout.splitlines()
    assert len(images) == 3
    for line in images:
        found = re.fullmatch(
            r"synthetic_cnn +(\S+) +largest difference \d\.\de-\d\d, correlation (\d\.\d{4})", line
        )
        assert found, line
        assert float(found[2]) > 0.999
    assert refused.startswith("resnet5: ")
    assert done.stderr.splitlines()[-1] == (
        "pytorch_grad_cam:GradCAMPlusPlus against gradcampp: maps scaled to [0, 1], at the input's "
        "pixels; held against a loop of the paper's formula: gradcampp"
    )
    told = json.loads(camtui(*asked, "--json").stdout)
    assert [len(one["images"]) for one in told["networks"]] == [3, 0]
    assert told["networks"][1]["problem"] == "unknown network 'resnet5'"
    none = camtui(*asked[:-1], "resnet5")
    assert (none.returncode, none.stderr.splitlines()[-1][-22:]) == (1, "compared on no network")
    assert camtui(*asked[:-1], "resnet5", "--json").returncode == 1


def test_networks_are_named_only_to_compare(home: Path) -> None:
    done = typed("check", "gradcam", "-b", "resnet50")
    assert (done.exit_code, "goes with --against" in done.stderr) == (2, True)
