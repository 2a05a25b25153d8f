"""Errors, questions and colours on whatever standard streams there are."""

from __future__ import annotations

import io
import json

import pytest

from camtui.cli.console import confirm, has_screen, print_error
from evaluator.errors import UsageError


class Terminal(io.StringIO):
    """A stream that a person sits at."""

    def isatty(self) -> bool:
        return True


def test_an_error_in_colour_and_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    print_error("usage", "no\x1bgood")
    assert capsys.readouterr().err == "error: no\\x1bgood\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_error("usage", "no good", "type this", run="val", as_json=True)
    printed = capsys.readouterr()
    assert printed.err == "\x1b[31merror:\x1b[0m no good\n\x1b[2mhint:\x1b[0m  type this\n"
    assert json.loads(printed.out)["error"] == {
        "kind": "usage",
        "message": "no good",
        "hint": "type this",
        "run": "val",
    }


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_whoever_sits_at_a_terminal_is_asked(
    typed: str, agreed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert confirm("Remove it?", yes=False) is agreed


def test_where_nobody_sits_only_yes_is_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert confirm("Remove it?", yes=True)
    with pytest.raises(UsageError, match="there is no terminal to ask on"):
        confirm("Remove it?", yes=False)
    assert not has_screen()
