"""CSV and TSV: numbers by ``repr``.

(read back exactly), empty where undefined, text that no spreadsheet takes for a formula.
"""

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
    """A header line and one line per record; lines end in a line feed.

    Args:
        stream: text, opened with ``newline=""``. fields: columns in order; other keys of a record
        are left out. records: plain values. delimiter: a comma or a tab (control characters in text
        were made visible, so a tab never needs quotes).
    """
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(fields)
    for record in records:
        writer.writerow([cell(record[field]) for field in fields])


def cell(value: Any) -> str:
    """One value: text beginning with ``= + - @``, blanks aside, gets an apostrophe in front.

    A number never does.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = printable(value)
    return f"'{text}" if _begins_a_formula(text) else text


def _begins_a_formula(text: str) -> bool:
    """Whether a spreadsheet would compute it.

    Also behind blanks, and where the sign is a wide or a small form of another.
    """
    first = text.strip()[:1]
    return unicodedata.normalize("NFKC", first).startswith(_FORMULA)
