"""What users and authors of methods lean on, pinned: commands with their options, names with their
signatures, formats.

A change here is a change for somebody else. Where it is meant: ``python -m
tests.test_public_surface``, and a line in CHANGELOG.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import unified_diff
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from camtui.cli.app import app
from camtui.export import records
from camtui.schemas import PAYLOADS, schema_of
from evaluator.store import schema

PINNED = Path(__file__).parent / "data" / "public_surface.txt"
MODULES = (
    "evaluator.methods.base",
    "evaluator.metrics.base",
    "evaluator.interfaces",
    "evaluator.errors",
    "evaluator.store.reader",
    "evaluator.store.queries",
)
"""Those from which somebody outside imports: methods and metrics, executors and sessions, readers
of a run's file.
"""


def commands() -> Iterator[str]:
    """``camtui table RUN --json``: every argument and option of every command, once a line."""
    group = typer.main.get_group(app)
    for name, command in sorted(group.commands.items()):
        yield f"camtui {name}"
        for parameter in command.params:
            yield f"camtui {name} {' '.join(sorted((*parameter.opts, *parameter.secondary_opts)))}"


def payloads() -> Iterator[str]:
    """``json status.pid: integer|null``: every key of every JSON that camtui prints."""
    for name in PAYLOADS:
        schema = schema_of(name)
        yield from (f"json {name}{line}" for line in keys(schema, schema.get("$defs", {})))


def keys(schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """The keys below a schema, each with its type; ``?`` where it may be missing."""
    if "$ref" in schema:
        yield from keys(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for option in schema.get("anyOf", ()):
        yield from keys(option, definitions)
    if "items" in schema:
        yield from (f"[]{line}" for line in keys(schema["items"], definitions))
    if isinstance(schema.get("additionalProperties"), dict):
        yield f".*: {kind(schema['additionalProperties'])}"
    for key, value in schema.get("properties", {}).items():
        optional = "" if key in schema.get("required", ()) else "?"
        yield f".{key}{optional}: {kind(value)}"
        yield from (f".{key}{line}" for line in keys(value, definitions))


def kind(schema: dict[str, Any]) -> str:
    """``integer|null``."""
    if "anyOf" in schema:
        return "|".join(map(kind, schema["anyOf"]))
    if "enum" in schema:
        return f"({' '.join(map(str, schema['enum']))})"
    return str(schema.get("const", schema.get("type", "object")))


def names(module: ModuleType) -> Iterator[str]:
    """Every public name that a module defines, with its signature; the members of classes too."""
    for name, found in sorted(vars(module).items()):
        if name.startswith("_") or getattr(found, "__module__", "") != module.__name__:
            continue
        kind = (
            ""
            if not isinstance(found, type) or issubclass(found, Enum)
            else f"({', '.join(b.__name__ for b in found.__bases__)})"
        )
        yield f"{module.__name__}.{name}{kind or signature(found)}"
        if isinstance(found, type):
            yield from (f"{module.__name__}.{name}.{line}" for line in members(found))


def members(kind: type) -> Iterator[str]:
    """Fields in their order, then methods and properties, those that it inherits from ours among
    them.
    """
    ours = [base for base in kind.__mro__ if base.__module__.startswith("evaluator.")]
    yield from (
        field
        for base in ours
        for field in inspect.get_annotations(base)
        if not field.startswith("_")
    )
    found = {
        name: value
        for base in reversed(ours)
        for name, value in vars(base).items()
        if not name.startswith("_")
    }
    for name, value in sorted(found.items()):
        if isinstance(value, property):
            yield f"{name} (property)"
        elif inspect.isfunction(value):
            yield f"{name}{signature(value)}"


def signature(found: object) -> str:
    """``(self, unit: Unit) -> UnitResult``; nothing for what cannot be called."""
    return str(inspect.signature(found)).replace("'", "") if callable(found) else ""


def surface() -> list[str]:
    """All of it, a line each."""
    formats = [f"json schema {records.SCHEMA_VERSION}", f"store schema {schema.SCHEMA_VERSION}"]
    return [
        *formats,
        *commands(),
        *payloads(),
        *(line for module in MODULES for line in names(import_module(module))),
    ]


def test_the_public_surface_is_the_pinned_one() -> None:
    pinned = PINNED.read_text(encoding="utf-8").splitlines()
    assert len(pinned) > 200
    difference = "\n".join(unified_diff(pinned, surface(), "pinned", "now", lineterm="", n=0))
    assert not difference, f"{difference}\nmeant? python -m tests.test_public_surface"


if __name__ == "__main__":
    PINNED.write_text("\n".join(surface()) + "\n", encoding="utf-8")
