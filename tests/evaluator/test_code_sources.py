"""The hash of a reference covers what its import will run, and finding it runs nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evaluator.errors import NotFound
from evaluator.references import Reference
from evaluator.user_code import Sources, sources_of

BOOM = "raise SystemExit('imported')\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, its neighbours, and a package; importing any of it ends the process."""
    (tmp_path / "mycam.py").write_text(f"import helper, os\n{BOOM}")
    (tmp_path / "helper.py").write_text(f"def late():\n    from parts import small\n{BOOM}")
    (tmp_path / "stranger.py").write_text(BOOM)
    for name, text in {
        "parts/__init__.py": "",
        "parts/small.py": "from . import tiny",
        "parts/tiny.py": "",
        "parts/other.py": "",
        "deep/__init__.py": "",
        "deep/sub/__init__.py": "from ..shared import x",
        "deep/sub/cams.py": "import deep.more",
        "deep/shared.py": "",
        "deep/more.py": "from ... import stranger",
        "deep/unused.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n{BOOM}")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def of_file(here: Path) -> Sources:
    return sources_of(Reference(str(here / "mycam.py"), "MyCAM"))


def test_a_file_and_the_neighbours_that_it_imports(here: Path) -> None:
    assert of_file(here).files == (
        "mycam.py",
        "helper.py",
        "parts/__init__.py",
        "parts/small.py",
        "parts/tiny.py",
    )
    assert of_file(here).file == here / "mycam.py"


@pytest.mark.parametrize(
    ("file", "same"), [("mycam.py", False), ("parts/tiny.py", False), ("parts/other.py", True)]
)
def test_the_hash_changes_with_every_one_of_them(here: Path, file: str, same: bool) -> None:
    before = of_file(here).sha256
    with open(here / file, "a") as stream:
        stream.write("# changed\n")
    assert (of_file(here).sha256 == before) == same


def test_the_hash_does_not_depend_on_the_folder(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = of_file(here).sha256
    assert (
        sources_of(
            Reference(
                str(here.rename(tmp_path_factory.mktemp("moved") / "to") / "mycam.py"), "MyCAM"
            )
        ).sha256
        == before
    )


def test_a_module_with_its_packages(here: Path) -> None:
    found = sources_of(Reference("deep.sub.cams", "Cam"))
    assert found.files == (
        "deep/sub/cams.py",
        "deep/__init__.py",
        "deep/more.py",
        "deep/shared.py",
        "deep/sub/__init__.py",
    )
    assert found.root == here
    assert not [name for name in sys.modules if name.startswith("deep")]
    assert sources_of(Reference("parts", "x")).files[0] == "parts/__init__.py"


@pytest.mark.parametrize(
    "source", ["/nowhere/mycam.py", "no_such_module", "deep.nothing", "deep.unused.below", "math"]
)
def test_what_is_not_there(here: Path, source: str) -> None:
    with pytest.raises(NotFound):
        sources_of(Reference(source, "X"))


def test_a_file_that_is_no_python_has_a_hash(here: Path) -> None:
    (here / "mycam.py").write_text("def (\n")
    assert of_file(here).files == ("mycam.py",)
