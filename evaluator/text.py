"""Text for people: strings from outside made safe to print, near names, counts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

# Cc controls, Cf format (bidi overrides, zero-width), Cs surrogates (undecodable bytes), Zl/Zp line
# and paragraph separators
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})


def printable(value: object, limit: int = 0) -> str:
    r"""One line of text without control, bidi or undecodable characters.

    Args:
        value: anything; bytes are read as UTF-8 and undecodable bytes become ``\\xNN``.
        limit: longest result in characters, the middle replaced by ``…``; 0 for no limit.

    Returns:
        Text that cannot move the cursor, change colours or reorder what stands beside it.
    """
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_visible, text))
    if limit and len(text) > limit:
        head = (limit - 1) // 2
        text = f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"
    return text


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNPRINTABLE:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte 0x80..0xFF itself
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(n: int, thing: str) -> str:
    """A number with its noun: ``1 image``, ``50,000 images``."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def nearest(given: str, known: Iterable[str]) -> list[str]:
    """The known names that are like the one given, the likest first, at most three.

    ``rum`` is nearer to ``run`` than to ``rm``: as many letters differ, and it is as long. ``grad``
    is nearer to ``gradcam``, which begins so, than to ``legrad``. More than
    two letters differ in a long name only.
    """

    def distance(name: str) -> tuple[bool, int, int]:
        begins = len(given) > 2 and name.startswith(given)
        return not begins, _edits(given, name), abs(len(name) - len(given))

    found = [
        name
        for name in get_close_matches(given, list(known), n=6)
        if given in name or _edits(given, name) <= max(2, len(given) // 3)
    ]
    return sorted(found, key=distance)[:3]


def _edits(one: str, other: str) -> int:
    """Letters to change, add, leave out, or swap with the next (Damerau–Levenshtein)."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, against in enumerate(other, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != against)))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], against):
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The nearest known name as ``did you mean 'x'? ``, empty where none is near."""
    near = nearest(given, known)
    return f"did you mean '{near[0]}'? " if near else ""


def name_hint(given: str, known: Iterable[str]) -> str:
    """``did_you_mean`` of what may also stand in a file; of a file alone, what to add."""
    if given.endswith(".py"):
        return f"say what to take of the file, {printable(given, 80)}:NAME; or "
    return did_you_mean(given, known)


_PAIRS = """
─- ━# ╸# ╺- │| ┃| ┌+ ┐+ └+ ┘+ ├+ ┤+ ┬+ ┴+ ╭+ ╮+ ╰+ ╯+ ┼+ ▔- ▁. ▂. ▃: ▄: ▅+ ▆+ ▇# █# ▀#
▕| ▏| ▎| ▊| ▌| ▐|
●o ◌o ◍o ■o ✓o ✗! ‖| ▶> ◀< ▲^ ▼v
↑^ ↓v ←< →> ⏎E ␣_ ±+ ×x ·. …. –- —- −- °' ‹< ›> ’' “" ”"
≥> ≤< αa
"""
_LIKE = {pair[0]: pair[1] for pair in _PAIRS.split()}


_UPPER_DOTS = 0b00011011
"""Of a braille character, those of its upper half."""


def as_ascii(text: str) -> str:
    """Replace characters by look-alikes where there is one, else by ``?``; the width stays."""
    return text if text.isascii() else "".join(map(_like, text))


def _like(character: str) -> str:
    if character.isascii():
        return character
    if character in _LIKE:
        return _LIKE[character]
    if "\u2800" <= character <= "\u28ff":
        dots = ord(character) - 0x2800
        if dots.bit_count() > 5:
            return "#"
        return " '.:"[bool(dots & _UPPER_DOTS) + 2 * bool(dots & ~_UPPER_DOTS)]
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return ""
    return "??" if unicodedata.east_asian_width(character) in "WF" else "?"


def replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Put look-alikes in place of what a stream's encoding lacks: a handler of ``codecs``.

    Raises:
        UnicodeError: it was no encoding that failed.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return as_ascii(error.object[error.start : error.end]), error.end
