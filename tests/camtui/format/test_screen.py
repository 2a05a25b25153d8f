"""Tables on a screen: no wider than it is, what is left out is said, the answer in a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from camtui.format import TableOptions, best_of, screen_lines, summary_table
from camtui.format.table import Block, Entry, Table, TableColumn, TableRow
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

WIDE = Table(
    "run · 20 images",
    (
        TableColumn("method", "method", numeric=False),
        *(TableColumn(key, f"{key}↑") for key in ("n", "coherency", "adcc", "road", "saco")),
    ),
    (
        Block(
            "net (w, layer)",
            (TableRow(tuple(map(Entry, ("a", "20", "1.00", "2.00", "3.00", "4.00")))),),
        ),
    ),
    ("a note that is rather longer than the screen is wide, so that it goes on below",),
)


def text(table: Table, width: int, *, wide: bool = False) -> list[str]:
    lines = screen_lines(table, width, wide=wide)
    return ["".join(field.text for field in line).rstrip() for line in lines]


@pytest.mark.parametrize(("width", "left"), [(80, []), (42, ["saco↑"])])
def test_columns_go_from_the_right_and_adcc_stays(width: int, left: list[str]) -> None:
    lines = text(WIDE, width)
    assert max(map(len, lines)) <= width
    header = next(line for line in lines if line.startswith("method"))
    assert header.split()[1:] == [
        name for name in ("n↑", "coherency↑", "adcc↑", "road↑", "saco↑") if name not in left
    ]
    said = " ".join(" ".join(lines).split())
    assert (f"left out to fit {width} characters: {', '.join(left)}; --wide" in said) == bool(left)


def test_the_column_to_keep_stays() -> None:
    lines = [line[0].text for line in screen_lines(WIDE, 42, keep="saco") if line]
    header = next(line for line in lines if line.startswith("method"))
    assert header.split()[-1] == "saco↑"
    assert "road↑" not in header


def test_wide_has_every_column() -> None:
    assert any("saco↑" in line for line in text(WIDE, 40, wide=True))


def test_the_best_is_said_for_each_network(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "a.db", backbones=["vgg16", "resnet50"], methods=["gradcam", "layercam", "cam"]
    )
    with RunReader(path) as reader:
        table = summary_table(reader)
        said = best_of(reader, TableOptions())
        assert [one.partition(":")[0] for one in said] == ["vgg16", "resnet50"]
        for block, sentence in zip(table.blocks, said, strict=True):
            marks = {row.entries[0].text: row.entries[-1].mark for row in block.rows}
            tied = [name for name, mark in marks.items() if mark == "tie"]
            (best,) = [name for name, mark in marks.items() if mark == "best"]
            assert f": {best} is best in ADCC, " in sentence
            sure = ", not certainly above " if tied else ", certainly above the others."
            assert sure in sentence
            named = sentence.partition("certainly above ")[2].rstrip(".")
            assert not tied or sorted(re.split(", | = ", named)) == sorted(tied)
        assert best_of(reader, TableOptions(ranks=False)) == []


def test_equal_maps_are_named_together_and_are_not_above_each_other(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["resnet50"], methods=["gradcam", "cam"])
    with RunReader(path) as reader:
        (said,) = best_of(reader, TableOptions())
    assert said.startswith("resnet50: gradcam = cam is best in ADCC, ")
    assert "certainly" not in said


def test_few_images_have_no_answer(tmp_path: Path) -> None:
    with RunReader(make_run(tmp_path / "a.db", images=4)) as reader:
        assert best_of(reader, TableOptions()) == []
