"""Importing what a reference names: only the source that was allowed, and errors with the line of
the user's file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.errors import CamtuiError, CodeNotAllowed, Mismatch, UsageError
from evaluator.references import Reference
from evaluator.sources import sources_of
from evaluator.user_code import allow, load


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Modules and search path are given back."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def loaded(file: Path, name: str = "Thing") -> object:
    reference = Reference(str(file), name)
    allow({reference.text: sources_of(reference).sha256})
    return load(reference)


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_a_file_with_a_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "near_by.py", "value = 3")
    file = write(
        tmp_path / "a b.py",
        "from near_by import value\nclass Thing:\n    class Inner:\n        number = value",
    )
    assert loaded(file, "Thing.Inner.number") == 3
    assert loaded(file) is loaded(file)


def test_another_source_is_not_run(tmp_path: Path) -> None:
    file = write(tmp_path / "mycam.py", "Thing = 1")
    allow({f"{file}:Thing": sources_of(Reference(str(file), "Thing")).sha256})
    write(file, f"open({str(tmp_path / 'mark')!r}, 'w')")
    with pytest.raises(Mismatch, match=r"mycam\.py:Thing has changed: sha256 .{12} → .{12}"):
        load(Reference(str(file), "Thing"))
    with pytest.raises(CodeNotAllowed):
        load(Reference(str(file), "Other"))
    assert not (tmp_path / "mark").exists()


def test_the_source_that_is_there_is_run_and_no_older_one(tmp_path: Path) -> None:
    file = write(tmp_path / "mycam.py", "Thing = 1")
    assert loaded(file) == 1
    write(file, "Thing = 2")  # same size, same second: a compiled copy would be taken for it
    assert loaded(file) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nThing = 1 / 0", "mycam.py:2: ZeroDivisionError: division by zero"),
        ("def Thing(:", "mycam.py:1: SyntaxError"),
        ("import sys\n\nsys.exit(3)", "mycam.py:3: SystemExit: 3"),
        ("import no_such_package_at_all", "mycam.py:1: ModuleNotFoundError"),
        ("from near import f\nf()", "near.py:2: ValueError: a\\x1bb"),
        ("class Things: pass", "has no 'Thing'"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "near.py", "def f():\n    raise ValueError('a\\x1bb')")
    with pytest.raises(UsageError) as caught:
        loaded(write(tmp_path / "mycam.py", text))
    assert words in caught.value.message
    assert caught.value.hint


def test_a_neighbour_never_hides_an_installed_package(tmp_path: Path) -> None:
    write(tmp_path / "pytest.py", "raise ValueError")
    assert loaded(write(tmp_path / "mycam.py", "import json\nThing = 1")) == 1
    assert sys.path[-1] == str(tmp_path)


def test_two_neighbours_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "helper_of_both.py", f"name = '{folder}'")
        write(tmp_path / folder / "mycam.py", "from helper_of_both import name as Thing")
    assert loaded(tmp_path / "one/mycam.py") == "one"
    with pytest.raises(CamtuiError, match=r"another helper_of_both\.py is imported already"):
        loaded(tmp_path / "two/mycam.py")
