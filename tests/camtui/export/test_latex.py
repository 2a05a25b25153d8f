"""LaTeX in the paper's layout, which compiles; ranks in Markdown."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from camtui.export import ExportRequest, table_of
from camtui.export.latex import escape as latex_escape
from camtui.export.latex import write_latex
from camtui.format import Block, Entry, Table, TableColumn, TableOptions, TableRow
from camtui.format.notes import BEST
from evaluator.store.reader import RunReader
from tests.camtui.export.conftest import written
from tests.synthetic import make_run

needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="pdflatex is not installed: apt install texlive-latex-recommended",
)


def test_latex_has_the_papers_layout_and_says_where_it_comes_from(reader: RunReader) -> None:
    text = written(reader, "latex").decode()
    assert text.isascii()
    comments = [line for line in text.splitlines() if line.startswith("%")]
    for part in (
        "camtui run 'demo', 40 images",
        "weights IMAGENET1K_V1",
        "target predicted, resize each network's own",
        "layer layer4, input 224 x 224, resized to 224 (bilinear)",
        "torch 2.13.0",
        "28 steps",
    ):
        assert any(part in line for line in comments)
    assert r"\toprule" in text
    assert r"\multicolumn{9}{l}{\textbf{resnet18 (IMAGENET1K\_V1, layer layer4)}}" in text
    assert "Score-CAM (variant=cic) & " in text
    table = table_of(reader, ExportRequest("latex"))
    marked = {"best": "\\textbf{%s}", "second": "\\underline{%s}", "tie": "%s\\rlap{$^{=}$}"}
    shown = [entry for row in table.blocks[0].rows for entry in row.entries]
    entries = [entry for entry in shown if entry.mark]
    assert {entry.mark for entry in entries} == set(marked)
    small = {entry: latex_escape(entry.interval) for entry in entries if entry.mark == "tie"}
    behind = {entry: f" {{\\scriptsize {small}}}" for entry, small in small.items() if small}
    assert behind, "a tie whose interval stands before its sign"
    assert [
        entry
        for entry in entries
        if marked[entry.mark] % f"{entry.text}{behind.get(entry, '')}" not in text
    ] == []
    ties = {entry.text for entry in entries if entry.mark == "tie"} - {
        e.text for e in entries if e.mark == "best"
    }
    assert [text_ for text_ in ties if f"\\textbf{{{text_}}}" in text] == []
    assert "bold: best, underlined: second" in text


def test_n_is_a_latex_column_only_where_it_differs(tmp_path: Path, reader: RunReader) -> None:
    whole = RunReader(make_run(tmp_path / "a.db", methods=["gradcam", "gradcampp"]))
    assert "Method & Average Drop" in written(whole, "latex").decode()
    assert "Method & n & Average Drop" in written(reader, "latex").decode()


def test_a_table_for_a_paper_explains_its_own_marks_and_says_what_is_measured(
    tmp_path: Path, reader: RunReader
) -> None:
    def pivoted(run: RunReader, *, ci: bool = False) -> str:
        options = TableOptions(ci=ci)
        return written(run, "latex", layout="pivot:adcc", options=options).decode()

    path = make_run(tmp_path / "a.db", methods=["gradcam", "gradcampp"], backbones=["vgg16"])
    two, many = pivoted(RunReader(path)), pivoted(reader)
    assert r"\caption{ADCC of 2 methods on 40 images, for vgg16.}" in two
    alone = replace(hostile_table(), blocks=(Block("", (TableRow((Entry("1", mark="best"),)),)),))
    assert replace(alone, notes=(BEST,)).notes_in_print("underlined") == ["bold: best"]
    for text in (two, many):
        assert (r"\underline{" in text) == ("underlined: second" in text)
        assert ("rlap" in text) == ("= not separated from the best" in text)
        assert r"$\pm$" not in text
    assert r"$\pm$ half of the 95" in pivoted(reader, ci=True)


def test_latex_escapes() -> None:
    assert (
        latex_escape("a_b%&#$^~\\{}é")
        == r"a\_b\%\&\#\$\textasciicircum{}$\sim$\textbackslash{}\{\}?"
    )


HOSTILE = "a%b_c&d#e{f}g\\h^i~j$k [x] `q' <<>> -- ?` ^^M ünï 数据 | ''"


def hostile_table() -> Table:
    """Characters that LaTeX reads as its own in every place; rows that begin with options."""
    rows = (
        TableRow((Entry(HOSTILE), Entry("1.0", "±0.2", "best"))),
        TableRow((Entry("[x]"), Entry("1.0", "±0.2", "tie"))),
        TableRow((Entry("*[2]"), Entry("1.0", mark="second"))),
        TableRow((Entry(HOSTILE), Entry("–")), remark=HOSTILE),
    )
    columns = (
        TableColumn("method", "method", HOSTILE, numeric=False),
        TableColumn("adcc", "adcc", HOSTILE),
    )
    return Table(HOSTILE, columns, (Block(HOSTILE, rows, (HOSTILE,)),), (HOSTILE,))


def test_a_row_that_begins_with_a_bracket_is_no_option_of_the_row_before() -> None:
    stream = io.StringIO()
    write_latex(stream, [hostile_table()], [])
    begins = [line[0] for line in stream.getvalue().splitlines() if " & " in line]
    assert "{" in begins
    assert not {"[", "*"} & set(begins)


@needs_latex
def test_latex_of_hostile_names_compiles_and_shows_them(tmp_path: Path) -> None:
    with open(tmp_path / "table.tex", "w") as stream:
        write_latex(stream, [hostile_table(), hostile_table()], [HOSTILE, "two\nlines"])
    compile_latex(tmp_path, "table")
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", "table.pdf", "-"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "[x]" in text
        assert "*[2]" in text
        assert "c&d#e{f}g\\h" in text


@needs_latex
def test_the_run_of_a_hostile_name_compiles(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a.db", methods=["gradcam", "cam"], images=6, name=HOSTILE)
    (tmp_path / "table.tex").write_bytes(written(RunReader(run), "latex"))
    compile_latex(tmp_path, "table")


def compile_latex(folder: Path, name: str) -> None:
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
    assert result.returncode == 0, result.stdout[-2000:]
    assert (folder / f"{name}.pdf").stat().st_size > 5000


@needs_latex
@pytest.mark.parametrize("layout", ["blocks", "long", "pivot:adcc"])
def test_latex_compiles_by_itself_and_inside_a_document(
    reader: RunReader, tmp_path: Path, layout: str
) -> None:
    (tmp_path / "table.tex").write_bytes(
        written(reader, "latex", layout=layout, options=TableOptions(ci=True))
    )
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}Before \\input{table} "
        "after\\end{document}\n"
    )
    for name in ("table", "paper"):
        compile_latex(tmp_path, name)


def test_markdown_marks_ranks_by_type(reader: RunReader) -> None:
    text = written(reader, "md").decode()
    table = table_of(reader, ExportRequest("md"))
    entries = [entry for row in table.blocks[0].rows for entry in row.entries]
    best = [entry.text for entry in entries if entry.mark == "best"]
    assert best
    assert all(f"**{value}**" in text for value in best)
    assert all(f"_{entry.text}_" in text for entry in entries if entry.mark == "second")
    ties = [entry for entry in entries if entry.mark == "tie"]
    assert ties
    assert all(" ".join(filter(None, (e.text, e.interval, "="))) in text for e in ties)
    assert all(f"**{e.text}**" not in text for e in ties if e.text not in best)
    assert "bold: best, italics: second" in text
    assert (
        "| Average Drop ↓ | Average Increase ↑ | Deletion ↓ | Insertion ↑ | Coherency ↑ | "
        "Complexity ↓ | ADCC ↑ |" in text
    )
    assert "* best" not in text
    widths = {
        line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")
    }
    assert widths == {10}
