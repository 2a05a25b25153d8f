"""How long the pages, their paragraphs and their sentences are; ``python -m tests.test_prose``
prints it page by page.

Code, tables and pictures are no prose: they count as words of a page, in no paragraph and in no
sentence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    str(page.relative_to(ROOT)): page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}


class Size(NamedTuple):
    """Words of a page, words of its longest paragraph, words of a sentence on average."""

    words: int
    paragraph: int
    sentence: float


FRONT = Size(800, 60, 15)
PAGE = Size(1000, 60, 18)
"""What every other page has."""
ALL_WORDS = 19_000


def prose(text: str) -> list[str]:
    """The paragraphs and the items of lists, without their marks."""
    text = re.sub(r"^```.*?^```|<!--.*?-->|<img.*?>", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    kept = [line for line in text.splitlines() if not re.match(r"\s*\||\s*#", line)]
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*] |\d+\. ))", "\n".join(kept))
    return [" ".join(block.split()) for block in blocks if re.search(r"\w", block)]


def sentences(paragraph: str) -> list[str]:
    found = re.split(
        r"(?<=[.!?:])[*_)]*\s+(?=[*_(]*[A-Z0-9])", re.sub(r"\bal\.,", "al,", paragraph)
    )
    return [one for one in found if len(words(one)) > 1]


def words(text: str) -> list[str]:
    return [word for word in text.split() if re.search(r"\w", word)]


def size(text: str) -> Size:
    paragraphs = prose(text)
    lengths = [len(words(one)) for paragraph in paragraphs for one in sentences(paragraph)]
    longest = max(len(words(paragraph)) for paragraph in paragraphs)
    return Size(len(text.split()), longest, sum(lengths) / len(lengths))


def test_what_is_counted() -> None:
    text = "# Title\n\nOne two three. Four [five](six.md): `a b c`!\n\n- Item one\n- two items\n\n"
    text += "```sh\nnot counted\n```\n\n| not | counted |\n"
    assert prose(text) == ["One two three. Four five: code!", "- Item one", "- two items"]
    assert size(text) == Size(25, 6, 2.5)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short(page: str) -> None:
    limit = FRONT if page == "README.md" else PAGE
    found = size(PAGES[page].read_text())
    assert all(has <= most for has, most in zip(found, limit, strict=True)), (found, limit)


def test_the_front_page_fits_and_all_pages_together_do_too() -> None:
    assert len(PAGES["README.md"].read_text().splitlines()) <= 110
    assert sum(size(page.read_text()).words for page in PAGES.values()) <= ALL_WORDS


if __name__ == "__main__":
    print("words  longest paragraph  words a sentence  page")
    for name, page in PAGES.items():
        found = size(page.read_text())
        print(f"{found.words:5}  {found.paragraph:17}  {found.sentence:16.1f}  {name}")
    print(sum(size(page.read_text()).words for page in PAGES.values()), "words in all")
