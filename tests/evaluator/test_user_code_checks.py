"""Describing imports the user's code in a process of its own, and says in one line what is wrong
with it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.code_resolver import describe
from evaluator.errors import CamtuiError, UsageError
from evaluator.references import as_reference
from evaluator.user_code import sources_of
from evaluator.user_code_facts import Code

METHOD = '''"""A method."""

from dataclasses import dataclass
from evaluator.methods.base import FixedMap, Method
from evaluator.metrics.base import Metric

print("imported")


@dataclass(frozen=True)
class MyCAM(Method):
    key = "mycam"
    title = "My-CAM"
    paper = "nobody, 2026"
    weighs_by = "the mean gradient"
    beta: float = 1.0

    def combine(self, view):
        return view.activation.sum(1)

    def forwards(self, channels, gap_linear):
        return 1 + channels


METRIC = Metric(
    key="kept", title="Kept", short="kept", paper="nobody", better="higher", definition="o_c"
)


def measure(explained):
    return explained.masked
'''


def described(file: Path, name: str, *tails: str, axis: str = "method") -> Code:
    reference = f"{file}:{name}"
    code = Code(axis, reference, reference, sources_of(as_reference(reference)).sha256)  # type: ignore[arg-type]
    return describe(code, list(tails))


def test_a_method_and_a_metric(tmp_path: Path) -> None:
    file = tmp_path / "my cam.py"
    file.write_text(METHOD)
    code = described(file, "MyCAM", "", "beta=2")
    assert code.key == "mycam"
    assert list(code.facts["specs"]) == ["mycam", "mycam:beta=2.0"]
    assert code.facts["specs"]["mycam"]["forwards"]["gap"] == [2, 1002]
    assert described(file, "METRIC", axis="metric").key == "kept"


@pytest.mark.parametrize(
    ("axis", "name", "good", "bad", "words"),
    [
        ("method", "MyCAM", 'key = "mycam"', 'key = "gradcam"', "has the key 'gradcam', which is"),
        ("method", "MyCAM", 'key = "mycam"', 'key = "My CAM"', "a key is lower-case"),
        ("method", "MyCAM", "title =", "name =", "has no title"),
        (
            "method",
            "MyCAM",
            "@dataclass(frozen=True)\n",
            "",
            "the option beta, and is no data class",
        ),
        ("method", "MyCAM", "beta: float = 1.0", "beta: list = None", "option beta has no default"),
        ("method", "MyCAM", "beta: float = 1.0", "beta: str = 'a'", "choices do not name 'a'"),
        ("method", "MyCAM", "def combine", "def combined", "has no combine"),
        ("method", "MyCAM", "1 + channels", "1 + nothing", "3.py:22: NameError: name 'nothing'"),
        ("method", "MyCAM", "print(", "1 / 0, (", "3.py:7: ZeroDivisionError"),
        ("method", "METRIC", "", "", "is Metric"),
        ("method", "Other", "", "", "has no 'Other'"),
        ("metric", "METRIC", "def measure", "def measured", "has no function measure"),
        ("metric", "METRIC", '"higher"', '"more"', "better is 'more'"),
        ("metric", "MyCAM", "", "", "the class MyCAM, not a metric"),
        ("method", "MyCAM", "print(", "import os; os._exit(", "ended the process"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, axis: str, name: str, good: str, bad: str, words: str
) -> None:
    file = tmp_path / "3.py"
    text = METHOD.replace(good, bad) if good else METHOD
    assert not good or text != METHOD
    file.write_text(text.replace('os._exit("imported")', "os._exit(3)"))
    with pytest.raises(CamtuiError) as caught:
        described(file, name, axis=axis)
    told = f"{caught.value.message} {caught.value.hint}"
    assert words in told
    assert "\n" not in told
    assert caught.value.hint


def test_an_import_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtui.code_resolver.DESCRIBING_SECONDS", 1.0)
    (tmp_path / "slow.py").write_text("while True: pass")
    with pytest.raises(UsageError, match="took longer than 1 s"):
        described(tmp_path / "slow.py", "X")
