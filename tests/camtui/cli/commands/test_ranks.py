from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.cli.support import typed, validated
from tests.synthetic import make_run


@pytest.fixture
def protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with the runs ``usual`` and ``pixels``."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    methods = ("gradcam", "scorecam", "eigencam")
    for name, shift, masking in (("usual", 0.3, "normalised"), ("pixels", -0.3, "pixels")):
        make_run(
            tmp_path / "runs" / f"{name}.db",
            methods=methods,
            backbones=["resnet18"],
            images=200,
            shift=shift,
            plan={"masking": masking},
        )


@pytest.mark.usefixtures("protocols")
def test_ranks_and_pairs_for_people_and_programs() -> None:
    done = typed("ranks", "usual", "pixels")
    assert done.exit_code == 0, done.stderr
    assert "resnet18 · ADCC" in done.stdout
    assert "run 2: pixels (masking pixels)" in done.stdout
    line = next(
        one for one in done.stdout.splitlines() if one.split()[:2] == ["scorecam", "eigencam"]
    )
    assert line.split() == ["scorecam", "eigencam", "masking", "1", "1", "0"]
    found = validated("ranks", typed("ranks", "usual", "pixels", "--json"))
    assert [one["choices"] for one in found["runs"]] == [
        {"masking": "normalised"},
        {"masking": "pixels"},
    ]
    (ranking,) = found["rankings"]
    assert ranking["pairs"][2]["verdicts"] == ["better", "worse"]
    assert ranking["pairs"][2]["flipped_by"] == ["masking"]


@pytest.mark.usefixtures("protocols")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["usual"], 2, "two runs or more"),
        (["usual", "usual"], 2, "one protocol"),
        (["usual", "pixels", "--metric", "adc"], 2, "did you mean 'adcc'?"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_next_command(
    words: list[str], code: int, said: str
) -> None:
    done = typed("ranks", *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
