"""Child processes that answer requests: both ends of the protocol, and how a child may end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from camtui.launch import ChildEnded, ask, ask_once
from evaluator.errors import (
    CamtuiError,
    CodeNotAllowed,
    ImageUnreadable,
    Mismatch,
    NotApplicable,
    RunFailed,
    UsageError,
)
from tests.evaluator.execution.support import ROOT

SERVE = "from evaluator.child import serve\nfrom evaluator.errors import *\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that ``python -m answering`` finds."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    return tmp_path / "answering.py"


def test_answers_come_one_by_one_and_what_is_printed_is_none(module: Path) -> None:
    module.write_text(
        SERVE + "def answer(request):\n"
        "    for n in range(request['of']):\n"
        "        print('a network that prints')\n"
        "        yield {'n': n}\n"
        "serve(answer)\n"
    )
    assert list(ask("answering", {"of": 3})) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert ask_once("answering", {"of": 2}) == {"n": 1}


def test_an_answer_is_there_before_the_next_is_computed(module: Path, tmp_path: Path) -> None:
    module.write_text(
        SERVE + "import pathlib, time\n"
        "def answer(request):\n"
        "    yield {'n': 1}\n"
        "    while not pathlib.Path(request['go']).exists():\n"
        "        time.sleep(0.01)\n"
        "    yield {'n': 2}\n"
        "serve(answer)\n"
    )
    answers = ask("answering", {"go": str(tmp_path / "go")}, 30)
    assert next(answers) == {"n": 1}
    (tmp_path / "go").touch()
    assert next(answers) == {"n": 2}


def test_the_childs_error_is_raised_here_as_itself(module: Path) -> None:
    module.write_text(
        SERVE + "def answer(request):\n"
        "    yield {'n': 1}\n"
        "    raise Mismatch('two values', 'camtui show RUN')\n"
        "serve(answer)\n"
    )
    answers = ask("answering", {})
    assert next(answers) == {"n": 1}
    with pytest.raises(Mismatch, match="two values") as raised:
        next(answers)
    assert raised.value.hint == "camtui show RUN"


@pytest.mark.parametrize("kind", [UsageError, NotApplicable, CodeNotAllowed, Mismatch, RunFailed])
def test_an_error_travels_by_its_kind(kind: type[CamtuiError]) -> None:
    again = CamtuiError.from_dict(kind("message", "hint").to_dict())
    assert (type(again), again.message, again.hint) == (kind, "message", "hint")


def test_an_error_with_fields_of_its_own_becomes_a_failed_run() -> None:
    told = ImageUnreadable("missing", "no such image").to_dict()
    assert type(CamtuiError.from_dict(told)) is RunFailed


@pytest.mark.parametrize(
    ("body", "code", "said", "end"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "", "signal 9"),
        ("import sys; sys.exit('a segmentation fault')", 1, "a segmentation fault", "exit code 1"),
        ("", 0, "", "exit code 0"),
        ("import sys; sys.stderr.write('x' * 300_000); sys.exit(3)", 3, "x", "exit code 3"),
    ],
    ids=["killed", "says why", "says nothing", "says much"],
)
def test_a_child_that_dies_says_how(
    module: Path, body: str, code: int, said: str, end: str
) -> None:
    module.write_text(body)
    with pytest.raises(ChildEnded) as raised:
        ask_once("answering", {"a request": "that nobody reads" * 10_000})
    assert (raised.value.code, raised.value.end) == (code, end)
    assert raised.value.said.startswith(said or f"exit code {code}")


def test_a_child_that_takes_too_long_is_ended(module: Path, tmp_path: Path) -> None:
    module.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    answers = ask("answering", {}, 2.0)
    while not (tmp_path / "pid").exists():
        time.sleep(0.01)
    with pytest.raises(TimeoutError):
        next(answers)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
