"""``--help``: every command under a task, every option under a heading, words in place of type
names.
"""

from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from camtui.cli.app import app
from camtui.cli.command import COMMAND_PANELS
from evaluator.plan import PROTOCOL

COMMANDS = sorted(typer.main.get_group(app).commands)


def helped(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    return result.stdout


def test_every_command_is_listed_once_under_a_task() -> None:
    listed = [name for names in COMMAND_PANELS.values() for name in names]
    assert sorted(set(COMMANDS) - set(listed)) == []
    assert len(listed) == len(set(listed))
    text = helped()
    assert re.findall(r"^  ([a-z]+)  ", text.partition("Start and steer")[2], re.MULTILINE) == [
        name for name in listed if name in COMMANDS
    ]
    assert "Others:" not in text
    assert [line for line in text.splitlines()[1:] if "..." in line] == [], "none is cut"


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_speaks_of_types(name: str) -> None:
    assert re.findall(r"<(?:str|int|float|path|list|bool)[^>]*>", helped(name)) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_value_has_a_word_that_stands_for_it(name: str) -> None:
    command = typer.main.get_group(app).commands[name]
    without = [
        parameter.name
        for parameter in command.params
        if not getattr(parameter, "is_flag", False) and not parameter.metavar
    ]
    assert without == []


def everything() -> str:
    result = CliRunner().invoke(app, ["run", "--help-all"])
    assert result.exit_code == 0
    return result.stdout


def test_help_of_run_fits_a_screen_and_help_all_has_every_option_but_old_spellings() -> None:
    few, every = helped("run"), everything()
    assert len(few.splitlines()) <= 60
    assert max(map(len, few.splitlines())) <= 80
    options = [
        option for one in typer.main.get_group(app).commands["run"].params for option in one.opts
    ]
    old = {option.flag for option in PROTOCOL.values() if option.within}
    assert {o for o in options if o.startswith("--")} - set(re.findall(r"--[a-z-]+", every)) == old
    shown = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", few, re.MULTILINE)
    assert 20 <= len(shown) <= 26
    assert {"--seed", "--ray-address", "--masking"}.isdisjoint(shown)


def test_the_options_of_run_stand_under_headings() -> None:
    text = everything()
    headings = re.findall(r"^([A-Z][^:\n]*):$", text, re.MULTILINE)
    assert headings == [
        "Images",
        "Measurement",
        "Protocol",
        "Compute",
        "Clusters",
        "Output",
        "Arguments",
        "Options",
    ]
    options = text.partition("\nOptions:\n")[2]
    assert re.findall(r"(--[a-z-]+)", options) == ["--json", "--help-all", "--help"]
    assert (
        "--target predicted|label"
        in text.partition("\nProtocol:\n")[2].partition("\nCompute:\n")[0]
    )
