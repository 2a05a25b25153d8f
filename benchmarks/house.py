"""Figures of the sources, and limits that keep them small: files, lines, records, hand-offs.

One column per commit; ``--check`` measures this tree alone and fails where a limit is passed.

    python benchmarks/house.py b834379 HEAD
    python benchmarks/house.py --check

Needs the extra ``test`` (grimp comes with import-linter). Files are those of ``camtui/`` and
``evaluator/``.
"""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

SOURCES = ("camtui", "evaluator")
RUN = 6
"""Lines; a run that stands in two places is a duplicate from here on."""

SMALL = 60
"""Lines; a file below them has to be one of an axis, where a file is a method, a command …"""

AXES = ("methods", "metrics", "families", "commands", "screens", "widgets", "export", "truth")

FIELDS, ALIKE = 5, 0.8
"""Two records of so many fields or more mirror each other where this share of names is common."""

OPTION = "road_removal"
"""The option of the protocol whose places are counted."""

_SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover|pyright:|mypy:|ruff:)")
_CYCLES = """
import grimp, json
graph = grimp.build_graph("camtui", "evaluator", cache_dir=None)

def returns(module):
    imported = graph.find_modules_directly_imported_by(module)
    return any(one == module or graph.chain_exists(one, module) for one in imported)

print(json.dumps([module for module in sorted(graph.modules) if returns(module)]))
"""


class Figure(NamedTuple):
    """A number, the most that it may be (``None`` for any), and the places that it counts."""

    number: float
    most: float | None = None
    places: tuple[str, ...] = ()


def files_of(root: Path, *folders: str) -> list[Path]:
    """Every module of these folders."""
    return sorted(file for folder in folders for file in (root / folder).rglob("*.py"))


def lines_of(file: Path) -> list[str]:
    """A file's lines."""
    return file.read_text(encoding="utf-8").splitlines()


def figures(root: Path) -> dict[str, Figure]:
    """The figures of one tree."""
    files = files_of(root, *SOURCES)
    lines = {file: lines_of(file) for file in files}
    tests = sum(len(lines_of(file)) for file in files_of(root, "tests"))
    marks = sum(bool(_SUPPRESSION.search(line)) for text in lines.values() for line in text)
    small = [file for file in files if len(lines[file]) < SMALL and not on_an_axis(file)]
    mirrors, cycles = mirror_records(files), import_cycles(root)
    option = [file for file in files if any(OPTION in line for line in lines[file])]
    runs = repeated_runs(lines)
    total = sum(map(len, lines.values()))
    found = {
        "files": Figure(len(files), 258),
        "lines": Figure(total, 49_200),
        "lines of tests": Figure(tests, 43_300),
        f"files below {SMALL} lines outside an axis": Figure(len(small), 15, _names(small)),
        "pairs of records that mirror each other": Figure(len(mirrors), 8, mirrors),
        f"files that name the option {OPTION}": Figure(len(option), 7, _names(option)),
        "modules in import cycles": Figure(len(cycles), 0, cycles),
        f"repeated runs of {RUN} lines or more": Figure(len(runs), None, runs),
        "suppressions in 1000 lines": Figure(round(1000 * marks / total, 1)),
    }
    return {name: one._replace(places=_below(root, one.places)) for name, one in found.items()}


def _names(files: list[Path]) -> tuple[str, ...]:
    return tuple(map(str, files))


def _below(root: Path, places: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(place.replace(f"{root}/", "") for place in places)


def on_an_axis(file: Path) -> bool:
    """Whether a file stands in a folder that has one file for each thing of a kind."""
    return file.parent.name in AXES or file.name in ("__init__.py", "__main__.py")


def records_of(file: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Name and fields of every record: data classes, named tuples, typed dictionaries."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            names = [
                part.target.id
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            ]
            if len(names) >= FIELDS:
                yield f"{file}:{node.lineno} {node.name}", frozenset(names)


def mirror_records(files: list[Path]) -> tuple[str, ...]:
    """Pairs of records most of whose fields have the same names."""
    records = [record for file in files for record in records_of(file)]
    return tuple(
        f"{first} = {second}"
        for (first, names), (second, others) in combinations(records, 2)
        if len(names & others) >= ALIKE * max(len(names), len(others))
    )


def repeated_runs(lines: dict[Path, list[str]]) -> tuple[str, ...]:
    """Pairs of places that share at least ``RUN`` lines, each run once.

    Blank lines, imports and indentation do not count.
    """
    places: dict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    kept: dict[Path, list[tuple[int, str]]] = {}
    for file, text in lines.items():
        kept[file] = [
            (number, line.strip())
            for number, line in enumerate(text, 1)
            if len(line.strip()) > 1 and not line.strip().startswith(("import ", "from "))
        ]
        for start in range(len(kept[file]) - RUN + 1):
            run = tuple(line for _, line in kept[file][start : start + RUN])
            places[run].append((file, start))
    starts = {pair for found in places.values() for pair in pairwise(found)}
    first = [
        (a, b) for a, b in sorted(starts) if ((a[0], a[1] - 1), (b[0], b[1] - 1)) not in starts
    ]
    return tuple(
        " = ".join(f"{file}:{kept[file][start][0]}" for file, start in pair) for pair in first
    )


def import_cycles(root: Path) -> tuple[str, ...]:
    """Modules of ours that import themselves by way of others.

    Imports inside functions and under ``TYPE_CHECKING`` are counted.
    """
    told = subprocess.check_output([sys.executable, "-c", _CYCLES], cwd=root, text=True)
    return tuple(json.loads(told))


def checked(root: Path) -> int:
    """Print the figures of a tree against their limits; 1 where one is passed."""
    found = figures(root)
    passed = {n: one for n, one in found.items() if one.most is not None and one.number > one.most}
    for name, one in found.items():
        limit = "" if one.most is None else f", at most {one.most:g}"
        print(f"{'ABOVE' if name in passed else 'ok':<6}{name}: {one.number:g}{limit}")
    for name, one in passed.items():
        print("".join(f"{name}: {place}\n" for place in one.places), end="")
    return int(bool(passed))


def compared(commits: list[str]) -> None:
    """Print the figures of commits side by side, then the places of the last one's."""
    columns = []
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            packed = subprocess.check_output(["git", "archive", commit])
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                tar.extractall(folder, filter="data")
            columns.append(figures(Path(folder)))
    table = Table("", *commits, "at most", box=None)
    for name, last in columns[-1].items():
        limit = "" if last.most is None else f"{last.most:g}"
        numbers = [f"{column[name].number:g}" if name in column else "–" for column in columns]
        table.add_row(name, *numbers, limit)
    Console(width=200).print(table)
    for name, one in columns[-1].items():
        print("".join(f"{name}: {place}\n" for place in one.places), end="")


def main() -> None:
    """Check this tree, or compare commits."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commits", nargs="*", default=["HEAD"], help="as git names them")
    parser.add_argument("--check", action="store_true", help="this tree, against the limits")
    options = parser.parse_args()
    if options.check:
        sys.exit(checked(Path(__file__).resolve().parents[1]))
    compared(options.commits)


if __name__ == "__main__":
    main()
