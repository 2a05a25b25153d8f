"""LaTeX tables with booktabs, in the layout of the paper's Table 2.

The file compiles by itself, and may be input as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from camtui.format.table import Block, Entry, Table, TableRow
from camtui.format.terms import method_title
from evaluator.text import printable

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # at the beginning of a row it would be an option of the row before
    "]": "{]}",
    "*": "{*}",  # as would this
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": r"\textendash{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": "$-$",
    "τ": r"$\tau$",
    "…": r"\dots{}",
}

_LIGATURE = re.compile(r"([-`'?!,<>])(?=[-`',<>])")
"""Characters that LaTeX's fonts would draw as one: ``--``, ```` `` ````, ``?` ``."""

# Inside a document \@nodocument is \relax: then this is a part of it. By itself it opens a document
# of its own.
_OPENING = r"""\expandafter\ifx\csname @nodocument\endcsname\relax
  \let\camtuiend\relax
\else
  \documentclass{article}\usepackage[a4paper,landscape,margin=15mm]{geometry}\usepackage{booktabs}
  \begin{document}\pagestyle{empty}
  \def\camtuiend{\end{document}}
\fi
"""


def write_latex(stream: TextIO, tables: Sequence[Table], comments: Iterable[str]) -> None:
    """Write tables as ``table`` environments, one after the other.

    Args:
        stream: text.
        tables: of ``camtui.format``.
        comments: said in comment lines: run, images, weights, protocol, version.
    """
    stream.writelines(f"% {printable(comment)}\n" for comment in comments)
    stream.write("% needs \\usepackage{booktabs}\n" + _OPENING)
    for table in tables:
        _write_table(stream, table)
    stream.write("\\camtuiend\n")


def _write_table(stream: TextIO, table: Table) -> None:
    kept = _kept_columns(table)
    columns = [table.columns[place] for place in kept]
    stream.write("\\begin{table}[ht]\n\\centering\\small\n")
    stream.write(f"\\caption{{{escape(table.caption or table.title)}}}\n")
    stream.write(
        f"\\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}\n\\toprule\n"
    )
    stream.write(_line(escape(column.title) for column in columns))
    for block in table.blocks:
        stream.writelines(_block(block, kept, [column.key for column in columns]))
    stream.write("\\bottomrule\n\\end{tabular}\n")
    notes = [note for block in table.blocks for note in _named(block)]
    notes += table.notes_in_print("underlined")
    stream.writelines(f"\n\\par\\smallskip{{\\footnotesize {escape(note)}}}\n" for note in notes)
    stream.write("\\end{table}\n")


def _kept_columns(table: Table) -> list[int]:
    """Return every column, but n only where it differs between rows: the paper prints it once."""
    keys = [column.key for column in table.columns]
    if "n" not in keys:
        return list(range(len(keys)))
    rows = [row for block in table.blocks for row in block.rows]
    counts = {row.entries[keys.index("n")] for row in rows if not row.remark}
    return [place for place, key in enumerate(keys) if key != "n" or len(counts) > 1]


def _block(block: Block, kept: Sequence[int], keys: Sequence[str]) -> Iterable[str]:
    yield "\\midrule\n"
    if block.title:
        yield f"\\multicolumn{{{len(kept)}}}{{l}}{{\\textbf{{{escape(block.title)}}}}} \\\\\n"
    for row in block.rows:
        yield _line(_cells(row, kept, keys))


def _cells(row: TableRow, kept: Sequence[int], keys: Sequence[str]) -> list[str]:
    cells = [_entry(row.entries[place], key) for place, key in zip(kept, keys, strict=True)]
    if row.remark:
        names = [
            cell for cell, key in zip(cells, keys, strict=True) if key in ("backbone", "method")
        ]
        rest = len(cells) - len(names)
        return [*names, f"\\multicolumn{{{rest}}}{{l}}{{\\textit{{{escape(row.remark)}}}}}"]
    return cells


def _entry(entry: Entry, key: str) -> str:
    text = escape(method_title(entry.text) if key == "method" else entry.text)
    if entry.mark == "best":
        text = f"\\textbf{{{text}}}"
    elif entry.mark == "second":
        text = f"\\underline{{{text}}}"
    partial = "$\\sim$" if entry.partial else ""
    interval = f" {{\\scriptsize {escape(entry.interval)}}}" if entry.interval else ""
    tie = "\\rlap{$^{=}$}" if entry.mark == "tie" else ""  # last: it covers what follows it
    return f"{partial}{text}{interval}{tie}"


def _named(block: Block) -> list[str]:
    name = block.title.split(" (")[0]
    return [f"{name}: {note}" if name else note for note in block.notes]


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is; what its fonts lack becomes ``?``."""
    return _LIGATURE.sub(r"\1{}", "".join(map(_escaped, printable(text))))


def _escaped(character: str) -> str:
    return _ESCAPES.get(character, character if character.isascii() else "?")
