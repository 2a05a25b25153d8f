"""Every command of the pages of *Start*, typed in their order in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.images import demo_root
from tests.evaluator.execution.support import COMMAND, ROOT

PAGES = ROOT / "docs" / "start"


def text_of(page: str) -> str:
    return (PAGES / page).read_text("utf-8")


def steps(text: str) -> list[tuple[str, str]]:
    """Each ``sh`` fence, and each file that the line before its fence names, in their order:
    the name of the file, empty for commands, and what stands in the fence.
    """
    found = re.findall(r"([^\n]*)\n\n```(sh|python)\n(.*?)```", text, re.DOTALL)
    named = [(re.search(r"ave.*`(\w+\.py)`", before), kind, fence) for before, kind, fence in found]
    return [
        ("" if kind == "sh" or match is None else match[1], fence)
        for match, kind, fence in named
        if match or kind == "sh"
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new user's: some photographs, and ``camtui`` and ``python`` on the path."""
    here, programs = tmp_path / "here", tmp_path / "programs"
    (here / "photos").mkdir(parents=True)
    programs.mkdir()
    for name in ("chelsea.png", "coffee.png"):
        shutil.copy(demo_root() / name, here / "photos")
    for name, command in (("camtui", COMMAND), ("python", (sys.executable,))):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(here)
    return here


def follow(page: str) -> None:
    """Do what a page says, and first what the page says on which it builds."""
    text = text_of(page)
    for earlier in re.findall(r"Begin with \[[^]]+\]\(([^)]+)\)", text):
        follow(earlier)
    for name, fence in steps(text):
        if name:
            Path(name).write_text(fence, "utf-8")
            continue
        for line in fence.splitlines():
            done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr, line


@pytest.mark.long
@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("*.md")))
def test_every_command_of_a_page_does_what_it_says(page: str, folder: Path) -> None:
    follow(page)
    written = re.findall(r"(?: -o|>) (\S+)", "".join(fence for _, fence in steps(text_of(page))))
    assert [name for name in written if not (folder / name).stat().st_size] == []


@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("*.md")))
def test_a_page_has_commands(page: str) -> None:
    commands = [fence for name, fence in steps(text_of(page)) if not name]
    assert len(commands) > 1
    assert text_of(page).count("```sh\n") == len(commands)
