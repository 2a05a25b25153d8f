"""Importing what a reference names: only the source that was allowed, and errors with the line of
the user's file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest

from evaluator import user_code
from evaluator.errors import CamtuiError, CodeNotAllowed, Mismatch, NotFound, UsageError
from evaluator.methods.adapters import LIBRARIES
from evaluator.references import Reference
from evaluator.user_code import Sources, allow, check_defined, load, member, sources_of


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Modules, finders and search path are given back."""
    path, finders, modules = list(sys.path), list(sys.meta_path), set(sys.modules)
    yield
    sys.path[:], sys.meta_path[:] = path, finders
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


def test_a_library_of_peers_that_is_missing_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "no_such_library", "no-such-library")
    with pytest.raises(NotFound, match=r"no module 'no_such_library\.attr'") as caught:
        sources_of(Reference("no_such_library.attr", "Saliency"))
    assert caught.value.hint == 'pip install "camtui[peers]"'


def test_what_a_package_takes_from_its_parts_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "peerlike/_core.py", "class Saliency: pass")
    write(tmp_path / "peerlike/__init__.py", "from peerlike._core import Saliency")
    monkeypatch.syspath_prepend(tmp_path)
    reference = Reference("peerlike", "Salency")
    with pytest.raises(UsageError, match="has no 'Salency'") as caught:
        member(reference, import_module("peerlike"))
    assert caught.value.hint == "did you mean 'Saliency'? it has Saliency"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("import torch\ndef build(): pass", True),
        ("class Net:\n    bild = 1\ndef build(): bild = 2", True),
        ("", True),
        ("if True:\n    bild = build = int", False),
        ("from net import build as bild", False),
        ("from net import *", False),
        ("def __getattr__(name): pass", False),
        ("globals()['bild'] = int", False),
        ("def f():\n    global bild\n    bild = 1\nf()", False),
        ("def (:", False),
    ],
)
def test_a_name_is_looked_for_in_the_syntax(tmp_path: Path, text: str, *, refused: bool) -> None:
    reference = Reference(str(write(tmp_path / "mynet.py", text)), "bild")
    with pytest.raises(UsageError, match="has no 'bild'") if refused else nullcontext() as caught:
        check_defined(reference)
    if caught and text:
        assert caught.value.hint.startswith("did you mean 'build'? it has ")


def test_a_neighbour_never_hides_an_installed_package(tmp_path: Path) -> None:
    write(tmp_path / "tomllib.py", "raise ValueError")
    sys.modules.pop("tomllib", None)
    assert loaded(write(tmp_path / "mycam.py", "import tomllib\nThing = 1")) == 1


NEIGHBOURS = """
from hashed_near import value

def Thing():
    from hashed_late import value as late
    from hashed_folder.part import value as inside
    return value, late, inside
"""


def neighbours(folder: Path, value: int) -> None:
    for name in ("hashed_near", "hashed_late", "hashed_folder/part"):
        write(folder / f"{name}.py", f"value = {value}")


@pytest.mark.parametrize(
    ("package", "on_search_path"), [(False, False), (False, True), (True, True)]
)
def test_what_runs_is_what_was_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: bool, on_search_path: bool
) -> None:
    """The files change the moment after they were read, and again before a late import."""
    file, text = tmp_path / "mycam.py", NEIGHBOURS
    if on_search_path:
        monkeypatch.syspath_prepend(tmp_path)
    if package:
        file, text = tmp_path / "hashed_package/mycam.py", NEIGHBOURS.replace("from ", "from .")
        write(tmp_path / "hashed_package/__init__.py", "")
    neighbours(write(file, text).parent, 1)

    def replaced(reference: Reference) -> Sources:
        found = sources_of(reference)
        neighbours(file.parent, 2)
        write(file, "def Thing():\n    return 'another source'")
        return found

    reference = Reference("hashed_package.mycam" if package else str(file), "Thing")
    allow({reference.text: sources_of(reference).sha256})
    monkeypatch.setattr(user_code, "sources_of", replaced)
    assert load(reference)() == (1, 1, 1)


def test_the_search_path_is_as_before(tmp_path: Path) -> None:
    """While a file is imported its folder can be searched by computed names, and no longer."""
    write(tmp_path / "computed_name.py", "value = 1")
    text = "from importlib import import_module\nThing = import_module('computed' + '_name').value"
    before = list(sys.path)
    assert loaded(write(tmp_path / "mycam.py", text)) == 1
    assert sys.path == before
    with pytest.raises(UsageError):
        loaded(write(tmp_path / "broken.py", "1 / 0"))
    assert sys.path == before


def test_two_neighbours_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "helper_of_both.py", f"name = '{folder}'")
        write(tmp_path / folder / "mycam.py", "from helper_of_both import name as Thing")
    assert loaded(tmp_path / "one/mycam.py") == "one"
    with pytest.raises(CamtuiError, match=r"another helper_of_both\.py is imported already"):
        loaded(tmp_path / "two/mycam.py")


def test_two_late_neighbours_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "late_helper_of_both.py", f"name = '{folder}'")
        text = "def Thing():\n    from late_helper_of_both import name\n    return name"
        write(tmp_path / folder / "mycam.py", text)
    loaded(tmp_path / "one/mycam.py")
    with pytest.raises(CamtuiError, match=r"another late_helper_of_both\.py is imported already"):
        loaded(tmp_path / "two/mycam.py")
