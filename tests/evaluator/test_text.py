"""Text from outside: nothing that is printed can move the cursor, hide or reorder."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.text import counted, did_you_mean, nearest, printable


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("Größe 10 µm — 日本", "Größe 10 µm — 日本"),
        ("a\nb\tc\x1b[31m", "a\\x0ab\\x09c\\x1b[31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth\u2028line", "zero\\u200bwidth\\u2028line"),
        ("\x9b31m", "\\x9b31m"),
        ("\U000e0041", "\\U000e0041"),
        (b"ok.png", "ok.png"),
        (b"n\xff\x80.png", "n\\xff\\x80.png"),
        ("n\udcff.png", "n\\xff.png"),
        ("\ud800", "\\ud800"),
        (42, "42"),
        (ValueError("bad\x00thing"), "bad\\x00thing"),
    ],
)
def test_what_is_shown(value: object, expected: str) -> None:
    assert printable(value) == expected


def test_long_text_loses_its_middle() -> None:
    assert printable("abcdefghij", 7) == "abc…hij"
    assert printable("abcdefghij", 6) == "ab…hij"
    assert printable("abcdefghij", 10) == "abcdefghij"
    assert printable("abcdefghij", 1) == "…"


@given(st.one_of(st.text(), st.binary()), st.integers(0, 20))
def test_always_one_line_that_can_be_encoded(value: str | bytes, limit: int) -> None:
    shown = printable(value, limit)
    shown.encode("utf-8")
    assert all(
        unicodedata.category(character)[0] not in "C" or unicodedata.category(character) == "Cn"
        for character in shown
    )
    assert len(shown.splitlines()) <= 1
    assert not limit or len(shown) <= limit


def test_did_you_mean_names_the_nearest_or_nothing() -> None:
    assert did_you_mean("gradcm", ["scorecam", "gradcam"]) == "did you mean 'gradcam'? "
    assert did_you_mean("zzz", ["scorecam", "gradcam"]) == ""
    assert did_you_mean("nosuch", ["enough"]) == ""


@pytest.mark.parametrize(
    ("given", "known", "first"),
    [
        ("rum", ["rm", "run"], "run"),
        ("shwo", ["show", "stop"], "show"),
        ("gradcampp", ["gradcam", "xgradcam", "gradcampp"], "gradcampp"),
        ("grad", ["legrad", "gradcam", "gradcampp"], "gradcam"),
    ],
)
def test_the_likest_name_stands_first(given: str, known: list[str], first: str) -> None:
    for names in (known, known[::-1]):
        assert nearest(given, names)[0] == first


@pytest.mark.parametrize(
    ("n", "expected"), [(0, "0 images"), (1, "1 image"), (50_000, "50,000 images")]
)
def test_counted_things(n: int, expected: str) -> None:
    assert counted(n, "image") == expected
