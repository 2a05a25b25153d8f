"""Tables as text: they fit, they line up, and no name in them moves the cursor."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from camtui.format import (
    plain_text,
    print_table,
    summary_table,
    table_lines,
)
from evaluator.store.reader import RunReader
from tests.camtui.format.conftest import ALL
from tests.synthetic import make_run


@pytest.mark.parametrize("curves", [True, False])
def test_the_table_fits_80_columns(tmp_path: Path, curves: bool) -> None:
    path = make_run(tmp_path / "a.db", methods=ALL, curves=curves, images=60)
    lines = plain_text(summary_table(RunReader(path))).splitlines()
    assert max(len(line) for line in lines if "errors" not in line) <= 80


def test_columns_stand_under_their_headers(reader: RunReader) -> None:
    lines = plain_text(summary_table(reader)).splitlines()
    header = next(line for line in lines if line.startswith("method"))
    body = next(line for line in lines if line.startswith("gradcampp"))
    for name in ("drop↓", "compl↓"):
        end = header.index(name) + len(name)
        assert body[end - 1].isdigit()
        assert body[end] in " *="


def test_print_table_is_plain_where_there_is_no_terminal(reader: RunReader) -> None:
    stream = io.StringIO()
    print_table(reader, Console(file=stream, width=40))
    assert "\x1b" not in stream.getvalue()
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == plain_text(
        summary_table(reader)
    ).splitlines()


def test_print_table_has_style_on_a_terminal(reader: RunReader) -> None:
    stream = io.StringIO()
    print_table(reader, Console(file=stream, force_terminal=True, width=40))
    assert "\x1b[1m" in stream.getvalue()


def test_a_hostile_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    reader = RunReader(make_run(tmp_path / "a.db", name="\x1b[2Jevil\u202e"))
    text = "".join(span.text for line in table_lines(summary_table(reader)) for span in line)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2Jevil" in text
