"""Import of what a reference names, and the line of the user's file where something went wrong.

Used where the code is allowed to run: in a worker and in the child processes that describe or
check it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from evaluator.code_importer import install_finder, spec_of
from evaluator.code_sources import Sources, sources_of
from evaluator.errors import CamtuiError, CodeNotAllowed, Mismatch, UsageError
from evaluator.references import Reference
from evaluator.text import did_you_mean, printable

_allowed: dict[str, str] = {}
"""Code that may be imported in this process: text of a reference → hash of its source."""

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
            _loaded[key] = _imported(reference, sources)
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
    """Message that the source of a reference is not what it was."""
    return (
        f"the source of {printable(reference.short)} has changed: sha256 {before[:12]} → {now[:12]}"
    )


def _imported(reference: Reference, sources: Sources) -> ModuleType:
    """The module of a reference, executed from the bytes that were hashed.

    Its neighbours are served from the hashed bytes too, now and in imports inside functions
    (``source_finder``). While a file is imported its folder is also searched for modules whose
    names the syntax does not show; what a function imports later by a computed name must be on the
    user's own path.
    """
    finder = install_finder(sources, beside=reference.file is not None)
    finder.searches_root = reference.file is not None
    try:
        if reference.file:
            return _from_file(sources)
        return importlib.import_module(reference.source)
    except BaseException:
        sys.meta_path.remove(finder)
        raise
    finally:
        finder.searches_root = False


def _from_file(sources: Sources) -> ModuleType:
    """The module of a file, under a name that holds its hash: two versions do not meet."""
    name = f"{sources.file.stem}_{sources.sha256[:12]}"
    spec = spec_of(name, sources.file, sources.contents[0])
    assert spec is not None, "it has a loader"
    assert spec.loader is not None, "it has a loader"
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def member(reference: Reference, module: ModuleType) -> Any:
    """The object that a reference names in its module.

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
    """Turn what the user's code raises into a ``UsageError`` with the line of the user's file.

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
    """The innermost line below a folder and its error: ``mycam.py:12: ValueError: …``."""
    if isinstance(error, SyntaxError) and error.filename:
        place, words = f"{Path(error.filename).name}:{error.lineno}: ", f"SyntaxError: {error.msg}"
    else:
        place, words = line_of(error, root), f"{type(error).__name__}: {error}"
    return f"{place}{printable(words, 300)}"


def line_of(error: BaseException, root: Path) -> str:
    """The innermost line of an error below a folder, ``mycam.py:12: ``, or empty."""
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    return f"{printable(Path(frames[-1].filename).name)}:{frames[-1].lineno}: " if frames else ""
