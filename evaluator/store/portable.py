"""A copy of a run for others: every row and sum, and no path, machine or user of its maker."""

from __future__ import annotations

import json
import re
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from evaluator.backbones import DEFAULT_WEIGHTS, BackboneSpec, file_and_part, shown_key
from evaluator.errors import StoreError
from evaluator.plan import RunPlan
from evaluator.references import as_spec
from evaluator.store.audit import audit
from evaluator.store.files import RunLock
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from evaluator.text import printable
from evaluator.user_code_facts import Code

DATA = "images"
"""The data folder in the plan of a copy: its place is everybody's own."""

_ABSOLUTE = re.compile(r"(?<![\w.~/-])~?(?:/[^/\s'\":;,()<>|]+){2,}/?|~/[^\s'\":;,()<>|]+")
"""An absolute path in a sentence."""

_TEXTS = {
    "run": ("message",),
    "backbones": ("loaded",),
    "cells": ("note",),
    "failures": ("detail",),
    "stages": ("title",),
    "looks": ("rule", "verdicts"),
    "events": ("text",),
}
"""Columns with sentences, in which a path may stand."""


def portable_plan(plan: RunPlan) -> RunPlan:
    """The plan with names in place of paths; equal measurements keep equal cell identities.

    Example:
        ``data="/home/me/val"``, ``truth="/home/me/masks"`` → ``data="images"``, ``truth="masks"``
    """
    return replace(
        plan,
        data=DATA,
        labels=_name(plan.labels),
        images=_name(plan.images),
        truth=_name(plan.truth),
        backbones=tuple(map(_portable_backbone, plan.backbones)),
        code=tuple(map(_portable_code, plan.code)),
    )


def _name(path: str | None) -> str | None:
    return path and (PurePosixPath(path).name or DATA)


def _portable_backbone(spec: BackboneSpec) -> BackboneSpec:
    weights = spec.weights
    if weights != DEFAULT_WEIGHTS and not weights.startswith("random:"):
        file, part = file_and_part(weights)
        weights = PurePosixPath(file).name + (f"#{part}" if part else "")
    return replace(spec, key=_portable_key(spec.key), weights=weights, classes=_name(spec.classes))


def _portable_key(key: str) -> str:
    given = as_spec(key)
    return given.reference.short if given else shown_key(key)


def _portable_code(code: Code) -> Code:
    """The code by the name of its file; its hash says which source it is."""
    reference = _portable_key(code.reference)
    key = reference if code.axis == "backbone" else code.key
    return replace(code, key=key, reference=reference, facts=_plain(code.facts, {}))


def _private_paths(plan: RunPlan, path: Path) -> dict[str, str]:
    """Paths of the maker → the name that stands for each, the longest first."""
    files = [plan.data, plan.labels, plan.truth, plan.images]
    files += [str(path.absolute()), str(Path.home())]
    for spec in plan.backbones:
        files += [file_and_part(spec.weights)[0], spec.classes, spec.key]
    files += [one.reference for one in plan.code]
    found: dict[str, str] = {}
    for file in filter(None, files):
        place = PurePosixPath(file)
        if place.is_absolute():
            for one in (place, *place.parents[:-1]):
                found[str(one)] = one.name
                found[printable(one)] = printable(one.name)
    return dict(sorted(found.items(), key=lambda one: -len(one[0])))


def _plain(value: Any, private: dict[str, str]) -> Any:
    """Texts with names in place of the maker's paths and of any other absolute path."""
    if isinstance(value, dict):
        return {key: _plain(one, private) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, private) for one in value]
    if not isinstance(value, str):
        return value
    for path, name in private.items():
        value = re.sub(rf"(?<![\w.-]){re.escape(path)}/(?=[\w.])", "", value)
        value = re.sub(rf"(?<![\w.-]){re.escape(path)}(?![\w-])", name.replace("\\", r"\\"), value)
    return _ABSOLUTE.sub(lambda match: PurePosixPath(match[0]).name, value)


def write_portable(reader: RunReader, target: Path) -> None:
    """Write a copy of a run that names no place, machine or user of its maker.

    Rows, sums, images and identities are those of the run, byte for byte. A run that goes on is
    copied as far as it is, and is a stopped one there.

    Raises:
        StoreError: a record is not what was written.
        UsageError: there is a file of that name, or it cannot be written.
    """
    with TemporaryDirectory(dir=target.parent, prefix=".camtui-") as folder:
        copy = Path(folder) / "run.db"
        reader.copy_to(copy)
        with RunReader(copy) as found:
            if problems := audit(found):
                path = printable(reader.path)
                raise StoreError(
                    f"{path} is not as it was written: {problems[0]}", f"camtui doctor {path}"
                )
        lock = RunLock(copy)
        try:
            with closing(RunWriter(copy)) as writer:
                _clear(writer, reader.plan(), reader.path)
                writer.execute("VACUUM")  # what was replaced is in no free page either
                writer.copy_to(target)
        finally:
            lock.release(remove=True)


def _clear(writer: RunWriter, plan: RunPlan, path: Path) -> None:
    private = _private_paths(plan, path)
    execute = writer.execute
    with writer.transaction():
        for table, columns in _TEXTS.items():
            for column in columns:
                found = execute(
                    f"SELECT rowid, {column} FROM {table}"
                    if table != "failures"
                    else f"SELECT DISTINCT {column}, {column} FROM {table}"
                ).fetchall()
                where = column if table == "failures" else "rowid"
                for key, text in found:
                    if text is not None and (plain := _plain_text(text, private)) != text:
                        execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (plain, key))
        execute("DELETE FROM workers")
        (versions,) = execute("SELECT versions FROM run").fetchone()
        execute(
            "UPDATE run SET plan = ?, versions = ?, host = '', pid = NULL, log = NULL, message ="
            " CASE WHEN state IN ('complete', 'stopped', 'failed') THEN message"
            " ELSE 'copied while it went on' END, state ="
            " CASE WHEN state IN ('complete', 'failed') THEN state ELSE 'stopped' END",
            (portable_plan(plan).to_json(), _plain_text(versions, private)),
        )


def _plain_text(text: str, private: dict[str, str]) -> str:
    """A stored text, also one that is JSON, without paths."""
    if text[:1] in ("{", "["):
        with suppress(ValueError):
            return json.dumps(_plain(json.loads(text), private), sort_keys=True)
    plain: str = _plain(text, private)
    return plain


def private_paths(reader: RunReader) -> list[str]:
    """Paths of the maker that no file for others may hold, those below ``/`` itself aside."""
    found = _private_paths(reader.plan(), reader.path)
    return [path for path in found if path.startswith("/") and len(PurePosixPath(path).parts) > 2]
