"""CSV and TSV: exact numbers, empty where undefined, no text that a spreadsheet computes."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from evaluator.text import printable

_FORMULA = ("=", "+", "-", "@", "\N{MINUS SIGN}")


def write_delimited(
    stream: TextIO, fields: Sequence[str], records: Iterable[dict[str, Any]], delimiter: str
) -> None:
    """Write a header line and one line per record; lines end in a line feed.

    Args:
        stream: text, opened with ``newline=""``.
        fields: columns in order; other keys of a record are left out.
        records: plain values.
        delimiter: a comma or a tab (control characters in text were made visible, so a tab never
            needs quotes).
    """
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(fields)
    for record in records:
        writer.writerow([cell(record[field]) for field in fields])


def cell(value: Any) -> str:
    """Return one value as text; text that begins a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = printable(value)
    return f"'{text}" if _begins_a_formula(text) else text


def _begins_a_formula(text: str) -> bool:
    """Return whether a spreadsheet would compute it, blanks and wide forms of the sign aside."""
    first = text.strip()[:1]
    return unicodedata.normalize("NFKC", first).startswith(_FORMULA)
