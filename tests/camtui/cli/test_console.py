"""Errors, questions and colours on whatever standard streams there are."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest

from camtui.cli.console import confirm, has_screen, print_error, print_line
from evaluator.errors import UsageError
from tests.camtui.cli.support import terminal
from tests.camtui.judging.runs import judged_run, ordered
from tests.synthetic import make_run


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


def test_a_line_is_folded_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    line = "key       some words of it, and a-word-that-is-not-broken-at-all"
    for stream, shown in (
        (io.StringIO(), line),
        (Terminal(), "key       some words of it,\n          and\n          "),
    ):
        monkeypatch.setattr("sys.stdout", stream)
        print_line(line, 10)
        assert stream.getvalue().startswith(shown)
        assert "a-word-that-is-not-broken-at-all\n" in stream.getvalue()


FITTED = """table good
table good --pivot adcc
table good --long
worst good resnet18:gradcam
worst good vgg16:scorecam --by deletion
errors good
show good
compare good worse
compare good worse --metric all
compare good --paper
ranks good pixels
judge shapes --draws 50
ls
status good
doctor good
bundle good -o {home}/bundle
merge pixels more -o {home}/merged.db
image good resnet18/gradcam 3 -o {home}/image.png
verify good --recompute 0
methods
metrics
backbones
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with runs whose names and numbers are as long as they get."""
    home = tmp_path_factory.mktemp("home")
    runs, data = home / "runs", home / "photos"
    long = [b"n02123045_tabby_tabby_cat/ILSVRC2012_val_00000293_%d.JPEG" % n for n in range(6)]
    make_run(runs / "good.db", paths=long, data=data, pictures=True)
    make_run(runs / "worse.db", paths=long, data=data, shift=0.05)
    make_run(runs / "pixels.db", paths=long, data=data, shift=0.1, plan={"masking": "pixels"})
    make_run(
        runs / "more.db", paths=long, data=data, methods=["layercam"], plan={"masking": "pixels"}
    )
    judged_run(runs / "shapes.db", ordered()).close()
    return home


@pytest.mark.long
@pytest.mark.parametrize("words", FITTED.splitlines())
def test_a_reading_command_fits_eighty_columns(words: str, fitted: Path) -> None:
    """No line is wrapped by the terminal, no number and no verdict is cut; what holds a path of the
    user's is as long as that.
    """
    given = words.format(home=fitted).split()
    with terminal(*given, CAMTUI_HOME=str(fitted), NO_COLOR="1", COLUMNS="") as (process, ours):
        shown = ""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # the command has ended
                break
            shown += read.decode()
        code = process.wait()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n").splitlines()
    assert code == 0, shown
    assert len(lines) > 0
    assert [line for line in lines if len(line) > 80 and str(fitted) not in line] == []
    assert re.findall(r"[0-9.±%]…|(?:ti|untest|bett|wor|hol)\w*…", "\n".join(lines)) == []
