"""The folders of images that this user has named: pictures are shown from under these only.

A run may have been received from somebody, and say that its images are anywhere. Folders are
remembered when a run is started on them (``camtui run --data``) or when they are named to a command
that shows pictures; ``$CAMTUI_DATA`` names more.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from camtui.runs import runs_home
from evaluator.errors import NotFound, UsageError
from evaluator.text import printable

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
    temporary = _file().with_name(f"data-folders.{os.getpid()}.json")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump([*before, place][-_MOST:], stream)
        temporary.replace(_file())
    except OSError:
        temporary.unlink(missing_ok=True)


def name_folder(folder: Path | None) -> None:
    """Remember what ``--data`` names, where it names something.

    Raises:
        UsageError: there is no such folder.
    """
    if folder is None:
        return
    if not folder.expanduser().is_dir():
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
