"""JSON and JSON lines: plain ASCII, numbers read back exactly, ``null`` where undefined."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO


def write_document(stream: TextIO, document: Mapping[str, Any]) -> None:
    """Write one indented JSON document."""
    json.dump(document, stream, indent=1, allow_nan=False)
    stream.write("\n")


def write_records(
    stream: TextIO, head: Mapping[str, Any], name: str, records: Iterable[Mapping[str, Any]]
) -> None:
    """Write one JSON document whose last member is a list of records, a line each.

    Args:
        stream: text.
        head: the members before it.
        name: of the list.
        records: plain values.
    """
    stream.write(json.dumps(head, allow_nan=False)[:-1])
    stream.write(f', "{name}": [')
    separator = "\n"
    for record in records:
        stream.write(separator + json.dumps(record, allow_nan=False))
        separator = ",\n"
    stream.write("\n]}\n")


def write_lines(stream: TextIO, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    for record in records:
        stream.write(json.dumps(record, allow_nan=False) + "\n")
