"""The runs of a user, one SQLite file each in one folder, and where their pictures may be."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sqlite3
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category, normalize

from evaluator.errors import NotFound, UsageError
from evaluator.sources import there_is
from evaluator.store.files import (
    is_run,
    lock_holder,
    lock_path,
    temporary_beside,
    why_unreadable,
)
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

_ABSENT = "not installed"
_PACKAGES = ("torch", "torchvision", "textual")

READ = ExitStack()
"""Runs that the command reads; it closes them when it ends."""


def versions() -> dict[str, str]:
    """``camtui`` first, then Python, the packages that compute and draw, and SQLite."""
    packages = {name: _installed(name) for name in _PACKAGES}
    return {
        "camtui": _installed("camtui"),
        "python": platform.python_version(),
        **packages,
        "sqlite": sqlite3.sqlite_version,
    }


EXTRAS = {
    "demo": ("efficientnet-lite-pytorch", "scikit-image", "matplotlib"),
    "figures": ("matplotlib",),
    "parquet": ("pyarrow",),
    "images": ("textual-image",),
    "timm": ("timm",),
    "ray": ("ray",),
}
"""Extra → the packages that tell whether it is installed."""


def extras() -> str:
    """Return the installed extras and the others: ``demo, figures; not installed: ray``."""
    there = [
        name
        for name, packages in EXTRAS.items()
        if all(_installed(one) != _ABSENT for one in packages)
    ]
    absent = [name for name in EXTRAS if name not in there]
    parts = [", ".join(there)] if there else []
    return "; ".join(parts + ([f"not installed: {', '.join(absent)}"] if absent else []))


def _installed(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT


LAST = "@last"
"""The run that was started or resumed most recently, of those that can be read."""

_LONGEST, _MOST_BYTES = 100, 200
"""Characters of a run's name, and bytes that they take in a file system: its file, lock and log add
their endings.
"""


def runs_home() -> Path:
    """Return the folder of runs, made where missing: ``$CAMTUI_HOME/runs``, or of user data.

    Raises:
        UsageError: it cannot be made.
    """
    home = os.environ.get("CAMTUI_HOME")
    if home:
        folder = Path(home).expanduser() / "runs"
    else:
        from platformdirs import user_data_path

        folder = user_data_path("camtui") / "runs"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make {printable(folder)}: {error.strerror}",
            "set CAMTUI_HOME to a folder of yours",
        ) from error
    return folder.absolute()


def sizes_file() -> str:
    """Return the file of batch sizes that suit this machine."""
    return str(runs_home().parent / "batch-sizes.json")


def run_path(name: str) -> Path:
    """Return the path of the run of that name, whether it is there or not.

    Raises:
        UsageError: not a name for a run.
    """
    name = normalize("NFC", name)
    short = len(name) <= _LONGEST and len(os.fsencode(name)) <= _MOST_BYTES
    if not (name and short and _is_letter(name[0]) and all(map(_is_of_names, name))):
        raise UsageError(
            f"'{printable(name, 60)}' is no name for a run",
            f"letters and digits of any script, '.', '_' and '-', at most {_LONGEST}: --name NAME",
        )
    return runs_home() / f"{name}.db"


def name_for(text: str) -> str:
    """Return a valid name made from any text: ``ImageNet (val)`` → ``ImageNet-val``."""
    kept = "".join(
        character if _is_of_names(character) else " " for character in normalize("NFC", text)
    )
    name = "-".join(kept.split())
    while name and not _is_letter(name[0]):
        name = name[1:]
    name = name[:_LONGEST]
    while len(os.fsencode(name)) > _MOST_BYTES:
        name = name[:-1]
    return name.rstrip("-._") or "run"


def _is_letter(character: str) -> bool:
    """Return whether it is a letter or a digit of any script."""
    return category(character)[0] in "LN"


def _is_of_names(character: str) -> bool:
    """Return whether a name may hold it: letters, digits, their marks, and three signs."""
    return character in "._-" or category(character)[0] in "LNM"


def list_runs() -> list[Path]:
    """Return every run of the folder, the one started or resumed last first."""
    return sorted(runs_home().glob("*.db"), key=last_started, reverse=True)


def last_started(path: Path) -> float:
    """Return when a driver last took the run, in seconds since 1970, else the file's own time."""
    for file in (lock_path(path), path):
        try:
            return file.stat().st_mtime
        except OSError:
            continue
    return 0.0


def find_run(ref: str = LAST) -> Path:
    """Return the run of a name, a prefix that only it has, a path, or ``@last``.

    Raises:
        NotFound: none, or more than one.
    """
    if ref == LAST:
        runs = list_runs()
        if not runs:
            raise NotFound("there is no run yet", "camtui run --demo")
        return next(filter(_looks_like_a_run, runs), runs[0])
    if "/" in ref or (ref.endswith(".db") and os.path.isfile(ref)):
        return _existing(Path(ref).expanduser())
    return _named(ref)


def open_run(ref: str = LAST) -> RunReader:
    """Open the run of a name, a unique prefix, a path, or ``@last``, until the command ends.

    Raises:
        NotFound: there is none.
        StoreError: its file cannot be read.
    """
    from evaluator.store.reader import RunReader

    return READ.enter_context(RunReader(find_run(ref)))


def _existing(path: Path) -> Path:
    if not os.path.lexists(path) and why_unreadable(path) != "permission denied":
        raise NotFound(f"no such run file: {printable(path)}", "list the runs: camtui ls")
    return path.absolute()


def _looks_like_a_run(path: Path) -> bool:
    """Return whether a file is a run that can be opened, or one that is just being begun."""
    if why_unreadable(path) not in ("", "empty"):
        return False
    return is_run(path) or lock_holder(path) is not None


def _named(ref: str) -> Path:
    known = {path.stem: path for path in list_runs()}
    if ref in known:
        return known[ref]
    matches = [name for name in known if name.startswith(ref)]
    if len(matches) == 1:
        return known[matches[0]]
    if matches:
        shown = ", ".join(printable(name) for name in sorted(matches)[:5])
        raise NotFound(
            f"{len(matches)} runs begin with '{printable(ref, 60)}': {shown}",
            "give the whole name: camtui ls",
        )
    raise NotFound(
        f"no run '{printable(ref, 60)}'", f"{did_you_mean(ref, known)}list them: camtui ls"
    )


def reference(path: Path) -> str:
    """Return the reference to type for a run: its name, or its path elsewhere, quoted."""
    if path.parent == runs_home() and path.suffix == ".db":
        return shlex.quote(printable(path.stem))
    return shlex.quote(printable(path))


VARIABLE = "CAMTUI_DATA"
"""Folders, separated by colons."""

_MOST = 1000
"""Folders that are remembered; the oldest go."""


def _file() -> Path:
    return runs_home().parent / "data-folders.json"


def known() -> list[str]:
    """Return the folders, links resolved."""
    named = [
        os.path.realpath(folder)
        for folder in os.environ.get(VARIABLE, "").split(os.pathsep)
        if folder
    ]
    return [*named, *_remembered()]


def _remembered() -> list[str]:
    try:
        found = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return (
        [folder for folder in found if isinstance(folder, str)] if isinstance(found, list) else []
    )


def remember(folder: Path) -> None:
    """Note that this user has named the folder; what cannot be noted is asked for again."""
    place, before = os.path.realpath(folder), _remembered()
    if place in before:
        return
    with suppress(OSError):
        write_private(_file(), json.dumps([*before, place][-_MOST:]))


def write_private(file: Path, text: str) -> None:
    """Write a file of this user's beside the runs: whole or not at all, for nobody else to read.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    temporary = temporary_beside(file)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def not_mine(file: Path) -> str:
    """Return why a file beside the runs is not believed; empty where nothing is against it.

    It has to be a regular file of this user, in a folder of this user that nobody else may write.
    """
    for path, kind in ((file.parent, stat.S_ISDIR), (file, stat.S_ISREG)):
        with suppress(FileNotFoundError):
            if fault := fault_of(path.lstat() if path == file else path.stat(), kind):
                return f"{printable(path)} {fault}"
    return ""


def fault_of(status: os.stat_result, kind: Callable[[int], bool]) -> str:
    """Return what is against a file or folder: its kind, its owner, or who may write it."""
    from evaluator.sources.folder import is_written_by_others

    if not kind(status.st_mode):
        return "is not a regular file"
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    return "may be written by others" if is_written_by_others(status) else ""


def name_folder(folder: Path | None) -> None:
    """Remember what ``--data`` names, where it names something.

    Raises:
        UsageError: there is no such folder.
    """
    if folder is None:
        return
    if not there_is(folder.expanduser()):
        raise UsageError(
            f"no such folder: {printable(folder)}", "--data FOLDER, the one with the run's images"
        )
    remember(folder.expanduser())


def refuse_unnamed(folder: str) -> None:
    """Refuse a folder that this user has not named, nor one above it.

    Raises:
        NotFound: with the option that names it.
    """
    place = os.path.realpath(folder)
    if not any(os.path.commonpath([place, one]) == one for one in known() if os.path.isabs(one)):
        raise NotFound(
            f"the run says that its images are in {printable(folder)}, which you have not "
            "named as a folder of images",
            f"if that is right, add --data {printable(folder)}: it is remembered",
        )
