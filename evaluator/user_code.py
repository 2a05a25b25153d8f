"""Imports what a reference names, and says in which line of the user's file something went wrong.

Called where the code is allowed to run: in a worker and in the child processes that describe or
check it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from evaluator.errors import CamtuiError, CodeNotAllowed, Mismatch, UsageError
from evaluator.references import Reference
from evaluator.sources import Sources, sources_of
from evaluator.text import did_you_mean, printable

_allowed: dict[str, str] = {}
"""What may be imported in this process: the text of a reference → the hash of its source."""

_loaded: dict[tuple[str, str], ModuleType] = {}
"""Modules of files by path and hash: two names of one file share it."""


def allow(sources: Mapping[str, str]) -> None:
    """Allow code to be imported in this process.

    Args:
        sources: the text of each reference → the hash of the source that may run.
    """
    _allowed.update(sources)


def load(reference: Reference) -> Any:
    """Import the module of a reference and return what it names.

    Raises:
        CodeNotAllowed: nobody has allowed it.
        Mismatch: its source is not the one that was allowed.
        UsageError: the module cannot be imported (file, line and why), or has nothing of that name.
    """
    return member(reference, load_module(reference))


def load_module(reference: Reference) -> ModuleType:
    """The module of a reference; see ``load``."""
    sources = permitted(reference)
    key = (reference.source, sources.sha256)
    if key not in _loaded:
        with user_errors(reference, f"cannot import {printable(reference.source)}"):
            _loaded[key] = (
                _from_file(sources) if reference.file else importlib.import_module(reference.source)
            )
    return _loaded[key]


def permitted(reference: Reference) -> Sources:
    """The source of a reference, which may be imported in this process.

    Raises:
        CodeNotAllowed: nobody has allowed it.
        Mismatch: its source is not the one that was allowed.
    """
    sha256 = _allowed.get(reference.text)
    if sha256 is None:
        raise CodeNotAllowed(
            f"{printable(reference.short)} has not been allowed to run",
            "name it on the command line",
        )
    sources = sources_of(reference)
    if sources.sha256 != sha256:
        raise Mismatch(
            changed(reference, sha256, sources.sha256), "name it again where the change is meant"
        )
    return sources


def changed(reference: Reference, before: str, now: str) -> str:
    """That the source of a reference is not what it was."""
    return (
        f"the source of {printable(reference.short)} has changed: sha256 {before[:12]} → {now[:12]}"
    )


def _from_file(sources: Sources) -> ModuleType:
    """The module of a file, from the bytes that are there now.

    A compiled copy of an older version is never taken.

    The file's folder stands last in ``sys.path``, so that it can import its neighbours and cannot
    hide an installed package.
    """
    path = sources.file
    _refuse_hidden(sources)
    if str(sources.root) not in sys.path:
        sys.path.append(str(sources.root))
    module = ModuleType(f"{path.stem}_{sources.sha256[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _refuse_hidden(sources: Sources) -> None:
    """Two references to files in different folders, both with neighbours of one name.

    Would get each other's.
    """
    for name in sources.files[1:]:
        known = sys.modules.get(
            name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        )
        there = getattr(known, "__file__", None)
        if there and Path(there).resolve() != (sources.root / name).resolve():
            raise UsageError(
                f"{printable(sources.file)} imports {printable(name)}, and another "
                f"{Path(name).name} is imported already: "
                f"{printable(there)}",
                "rename one of them",
            )


def member(reference: Reference, module: ModuleType) -> Any:
    """What a reference names in its module.

    Raises:
        UsageError: there is nothing of that name.
    """
    found: Any = module
    for part in reference.name.split("."):
        if not hasattr(found, part):
            known = [
                name
                for name, value in vars(module).items()
                if getattr(value, "__module__", "") == module.__name__
            ]
            near = did_you_mean(reference.name, known)
            has = f"it has {', '.join(known[:6])}" if known else "it defines nothing"
            raise UsageError(
                f"{printable(reference.source)} has no '{reference.name}'", f"{near}{has}"
            )
        found = getattr(found, part)
    return found


@contextmanager
def user_errors(reference: Reference, what: str) -> Iterator[None]:
    """Whatever the user's code raises becomes a ``UsageError`` with the line of the user's file.

    Args:
        reference: whose code runs within.
        what: what was tried, for the message.
    """
    sources = sources_of(reference)
    try:
        yield
    except CamtuiError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{what}: {error_text(error, sources.root)}", f"mend {printable(sources.file)}"
        ) from error


def error_text(error: BaseException, root: Path) -> str:
    """``mycam.py:12: ValueError: …``.

    The innermost line below a folder, and what was raised there.
    """
    if isinstance(error, SyntaxError) and error.filename:
        place, words = f"{Path(error.filename).name}:{error.lineno}: ", f"SyntaxError: {error.msg}"
    else:
        place, words = line_of(error, root), f"{type(error).__name__}: {error}"
    return f"{place}{printable(words, 300)}"


def line_of(error: BaseException, root: Path) -> str:
    """``mycam.py:12: ``, the innermost line of an error below a folder.

    Empty where there is none.
    """
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    return f"{printable(Path(frames[-1].filename).name)}:{frames[-1].lineno}: " if frames else ""
