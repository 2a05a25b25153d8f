"""The escape corpus: names, messages, failures and log lines that would take over a terminal come
out of no command as they are.

The dashboard against the same: ``tests/camtui/tui/test_hostile.py``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest

from evaluator.store.files import log_path
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import camtui
from tests.synthetic import make_run

CORPUS = (
    "\x1b[2J\x1b[31mred",  # clears the screen, changes the colour
    "\x1b]0;owned\x07",  # the window's title
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",  # a link
    "\x1b]52;c;b3duZWQ=\x07",  # the clipboard
    "\x9b31m",  # the same in one byte of C1
    "\x1bP+q544e\x1b\\",  # asks the terminal, which types the answer
    "\u202egpj.exe\u2066",  # turns the direction
    "a\rb\nc\td\x00e\x08\x7f",
    "\u2028line\u2029paragraph\u200bzero\ufeffwidth",
    "[red]markup[/red][@click=app.exit]x[/]",
    "=cmd|' /C calc'!A0",
)
HOSTILE = "".join(CORPUS)

READING = """status · status --json · ls · ls --json · table · table --long · table -f md
table -f json · show · show --json · show --config · errors · errors --json · worst · worst --json
logs · logs --level info · doctor RUN · watch · compare RUN RUN
export RUN -f csv · export RUN -f tsv · export RUN -f json · export RUN -f md · export RUN -f latex
export RUN --per-image -f csv · export RUN --per-image -f tsv · export RUN --per-image -f json
export RUN --per-image -f jsonl · status HOSTILE · table --filter HOSTILE · worst --cell HOSTILE
run --data HOSTILE · run --demo -b HOSTILE · run --demo --name HOSTILE
run --demo --device HOSTILE · run --config HOSTILE · run --demo --max-failures HOSTILE
wait --timeout HOSTILE · run --demo --on-finish HOSTILE · logs --level HOSTILE""".replace(
    "\n", " · "
).split(" · ")


@pytest.fixture
def hostile(home: Path) -> Path:
    """A run of whose texts every one is hostile, and its log."""
    paths = [
        os.fsencode(text).replace(b"\0", b"") + b"\xff%d.png" % n for n, text in enumerate(CORPUS)
    ]
    run = make_run(
        home / "runs" / "hostile.db",
        images=20,
        paths=paths,
        methods=["gradcam", "fakecam"],
        state="failed",
    )
    with closing(sqlite3.connect(run)) as connection:
        connection.execute(
            "UPDATE run SET name = ?1, message = ?1, host = ?1, versions = json_object(?1, ?1)",
            (HOSTILE,),
        )
        connection.execute("UPDATE backbones SET name = ? WHERE id = 1", (HOSTILE,))
        connection.execute("UPDATE cells SET note = ?", (HOSTILE,))
        connection.execute("UPDATE failures SET reason = ?1, detail = ?1", (HOSTILE,))
        connection.execute("UPDATE events SET text = ?", (HOSTILE,))
        connection.execute("UPDATE stages SET title = ?", (HOSTILE,))
        connection.execute("UPDATE workers SET device = ?1, state = ?1", (HOSTILE,))
        connection.commit()
    log_path(run).write_bytes(os.fsencode(HOSTILE) + b"\xff\n")
    return run


def unsafe(text: str) -> list[str]:
    return [
        repr(c)
        for c in text
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"
    ]


@pytest.mark.parametrize("words", READING)
def test_no_control_byte_comes_out(hostile: Path, words: str) -> None:
    stand_for = {"RUN": str(hostile), "HOSTILE": HOSTILE.replace("\x00", "")}
    done = typed(*[stand_for.get(word, word) for word in words.split()])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert unsafe(done.stdout_bytes.decode("utf-8", "surrogateescape")) == []
    assert unsafe(done.stderr) == []
    assert done.stdout or done.stderr


def test_names_of_files_through_a_whole_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folder, class folder and file names; one image raises with its name in the exception."""
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"raises": [0, 3]}))
    for number, text in enumerate(CORPUS):
        folder = home / text.replace("\0", "").replace("/", "_")[:60]
        folder.mkdir()
        (home / "pictures" / f"{folder.name}{number}.jpg").touch()
        (folder / "x.jpg").touch()
    for command in (
        ["run", "--data", str(home), "-b", "resnet50", "-m", "gradcam"],
        ["errors"],
        ["logs"],
        ["export", "--per-image"],
    ):
        done = camtui(*command, encoding="utf-8", errors="surrogateescape")
        assert done.returncode == 0, done.stderr
        assert unsafe(done.stdout + done.stderr) == []
