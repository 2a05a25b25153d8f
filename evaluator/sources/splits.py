"""Which part of a data set is read: its split, the folder in an archive, the shards of a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from evaluator.errors import UsageError
from evaluator.sources import matching, source_at, split_place
from evaluator.sources.base import is_hidden, kind_of
from evaluator.text import printable

_ORDER = ("val", "valid", "validation", "dev", "test", "testing", "train", "training")
_USUAL = ("val", "valid", "validation", "test")
"""What is read where nothing is said, the first that is there."""

_SPLIT = re.compile(rf"({'|'.join(sorted(_ORDER, key=len, reverse=True))})(?=[-_.]|$)", re.I)
_SHARDS = (".parquet", ".tar")
WHOLE = "."
"""What ``--split`` takes where no part is meant."""


class Part(NamedTuple):
    """What is read of a data set.

    Attributes:
        said: which part it is, in a sentence; empty where it is the whole.

    >>> Part(Path("/data/photos")).said
    ''
    """

    root: Path
    said: str = ""


def part_of(root: Path, split: str | None = None) -> Part:
    """The part of a data set that is meant.

    A folder that holds ``val/``, ``validation/`` or ``test/`` and no images of its own: that one;
    a folder of parquet files or shards: these, of one split; in an archive the same, and the one
    folder that has all others in it. What is not there is left to whoever reads it.

    Args:
        root: absolute.
        split: its name, ``.`` for all of it.

    Raises:
        UsageError: there is no such split; or an archive cannot be read.
    """
    if split == WHOLE:
        return Part(root)
    if root.is_dir():
        part = _of_folder(root, split)
    elif (place := split_place(root)) and not place.inner and len(_there(place.file)) == 1:
        part = _of_archive(root, split)
    else:
        part = Part(root)
    if split and part.root == root:
        raise UsageError(f"{printable(root)} has no split {printable(split)}", "camtui run DIR")
    return part


def _there(file: Path) -> list[Path]:
    return [one for one in matching(file) if one.is_file()]


def _of_folder(root: Path, split: str | None) -> Part:
    folders: dict[str, str] = {}
    files: list[str] = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if is_hidden(name):
                    continue
                if entry.is_dir():
                    folders[entry.name.lower()] = entry.name
                elif kind_of(name) in ("image", "array") and split is None:
                    return Part(root)
                else:
                    files.append(entry.name)
    except OSError:
        return Part(root)  # whoever reads it says why it cannot be
    if chosen := _chosen(root, folders, split):
        inside = part_of(root / folders[chosen])
        return Part(inside.root, _said(root, chosen, folders))
    for ending in _SHARDS:
        shards = sorted(name for name in files if name.lower().endswith(ending))
        if shards and not folders:
            return _of_shards(root, shards, ending, split)
    if set(folders) == {"data"}:  # Hugging Face's, beside a README
        inside = _of_folder(root / folders["data"], split)
        return inside if inside.root != root / folders["data"] else Part(root)
    return Part(root)


def _of_shards(root: Path, shards: list[str], ending: str, split: str | None) -> Part:
    """The files of one split, which their names begin with."""
    splits: dict[str, list[str]] = {}
    for name in shards:
        if matched := _SPLIT.match(name):
            splits.setdefault(matched[1].lower(), []).append(name)
    chosen = _chosen(root, splits, split)
    names = splits[chosen] if chosen else shards
    pattern = names[0] if len(names) == 1 else f"{chosen and names[0][: len(chosen)]}*{ending}"
    return Part(root / pattern, _said(root, chosen, splits) if chosen else "")


def _of_archive(root: Path, split: str | None) -> Part:
    paths = [entry.path.split(b"/") for entry in source_at(root).entries() if not entry.hidden]
    if not paths or any(len(parts) == 1 for parts in paths):
        return Part(root)
    tops = {os.fsdecode(parts[0]).lower(): os.fsdecode(parts[0]) for parts in paths}
    if chosen := _chosen(root, tops, split):
        return Part(root / tops[chosen], _said(root, chosen, tops))
    if len(tops) == 1 and all(len(parts) > 2 for parts in paths):
        ((_, name),) = tops.items()
        inner = {os.fsdecode(parts[1]).lower(): os.fsdecode(parts[1]) for parts in paths}
        if chosen := _chosen(root, inner, split):
            return Part(root / name / inner[chosen], _said(root, chosen, inner))
        return Part(root / name, f"the folder {printable(name)} of {printable(root)} is read")
    return Part(root)


def _chosen(root: Path, there: Mapping[str, object], split: str | None) -> str:
    """The split among names in lower case; empty where none is meant."""
    if split is None:
        return next((name for name in _USUAL if name in there), "")
    wanted = split.lower()
    if wanted in there:
        return wanted
    known = sorted(set(there) & set(_ORDER), key=_ORDER.index)
    if known:
        raise UsageError(
            f"{printable(root)} has no split {printable(split)}",
            f"it holds {', '.join(known)}: --split {known[0]}",
        )
    return ""


def _said(root: Path, chosen: str, there: Iterable[str]) -> str:
    others = sorted(set(there) & set(_ORDER) - {chosen}, key=_ORDER.index)
    more = f" and not {', '.join(others)}" if others else ""
    return (
        f"the split {chosen}{more} of {printable(root)} is read; --split NAME takes another, "
        f"--split {WHOLE} all of it"
    )
