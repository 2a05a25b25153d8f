"""How long the pages, their paragraphs and their sentences are; ``python -m tests.test_prose``
prints it page by page. Which words what camtui says has not.

Code, tables and pictures are no prose: they count as words of a page, in no paragraph and in no
sentence.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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
ALL_WORDS = 18_000


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


OURS = re.compile(
    r"\b(?:cells?|units?|heartbeats?|gravers?|AXIS|remarks?|twins?|look-alikes?|forwards)\b"
    r"|\b(?:an?|one|each|first|recorded|per) forward\b(?! pass)|τ mass"
    r"|(?<!camtui )(?<![-\w'])backbones?\b(?!=)"
)
"""Words of the code for what its users call network x method, batch, last write, note, pass,
network; names of commands, of options and of columns stay.
"""
LABELS = {"TableColumn": 1, "Binding": 2}
"""Which argument a reader sees, also where it is one word."""
SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|FROM)\b|\s*--|.*\bJOIN\b", re.DOTALL)


def said(source: str) -> Iterator[str]:
    """The literals of more than one word, labels, and the help of commands; not docstrings, SQL."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module | ast.AsyncFunctionDef):
            decorated = [ast.unparse(one) for one in getattr(node, "decorator_list", [])]
            skipped |= {id(one.value) for one in node.body if isinstance(one, ast.Expr)}
            if any("command" in one for one in decorated) and (text := ast.get_docstring(node)):
                yield text
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(one) for one in node.values}
            text = "".join(
                str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values
            )
            if " " in text and not SQL.match(text):
                yield text
        if isinstance(node, ast.Call):
            place = LABELS.get(getattr(node.func, "id", ""), len(node.args))
            labels = node.args[place : place + 1]
            yield from (str(one.value) for one in labels if isinstance(one, ast.Constant))
        if isinstance(node, ast.Constant) and id(node) not in skipped:
            text = str(node.value)
            if " " in text and not SQL.match(text):
                yield text


def test_what_is_said_is_found() -> None:
    source = """
@app.command(cls=Command)
def worst(run):
    'Cells, in help.'
    raise UsageError(f"no cell {run} here", "in the hint")

def read():
    'A cell, in the code.'
    columns = [TableColumn("cell", "cell"), "cell"]
    return "SELECT cell FROM cells", columns
"""
    assert sorted(said(source)) == ["Cells, in help.", "cell", "in the hint", "no cell … here"]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("each cell is known", True),
        ("2,000 forwards an image", True),
        ("called twice in a forward", True),
        ("no end and no forward pass in 3 s", False),
        ("take no_grad() out of its forward", False),
        ("unknown backbone 'x'", True),
        ("list them: camtui backbones", False),
        ("--filter 'backbone=resnet*'", False),
    ],
)
def test_which_words_are_ours(text: str, ours: bool) -> None:
    assert (OURS.search(text) is not None) == ours


@pytest.mark.parametrize("package", ["camtui", "evaluator"])
def test_messages_help_and_screens_have_the_words_of_the_field(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    found = [
        (str(file.relative_to(ROOT)), text)
        for file in files
        for text in said(file.read_text("utf-8"))
        if OURS.search(text)
    ]
    assert len(files) > 100
    assert found == []


if __name__ == "__main__":
    print("words  longest paragraph  words a sentence  page")
    for name, page in PAGES.items():
        found = size(page.read_text())
        print(f"{found.words:5}  {found.paragraph:17}  {found.sentence:16.1f}  {name}")
    print(sum(size(page.read_text()).words for page in PAGES.values()), "words in all")
