"""Figures of the sources themselves: sizes, cycles, suppressions, repeated lines.

One column per commit.

    python benchmarks/house.py 23fd53e HEAD

Needs the extra ``test`` (grimp comes with import-linter). Files are those of ``camtui/`` and
``evaluator/``; repeated runs and suppressions are counted in ``tests/`` and ``benchmarks/`` as
well.
"""

from __future__ import annotations

import ast
import io
import json
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

SOURCES = ("camtui", "evaluator")
ALL = (*SOURCES, "tests", "benchmarks")
RUN = 6
"""Lines; a run that stands in two places is a duplicate from here on."""

_SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover|pyright:|mypy:|ruff:)")
_CYCLES = """
import grimp, json
graph = grimp.build_graph("camtui", "evaluator", exclude_type_checking_imports=True, cache_dir=None)
modules = sorted(graph.modules)
imports = {module: graph.find_modules_directly_imported_by(module) for module in modules}
print(json.dumps([m for m in modules if any(i == m or graph.chain_exists(i, m) for i in imports[m])]))
"""


def python_files(root: Path, folders: tuple[str, ...]) -> list[Path]:
    """Every module of these folders."""
    return sorted(file for folder in folders for file in (root / folder).rglob("*.py"))


def lines_of(file: Path) -> list[str]:
    """A file's lines."""
    return file.read_text(encoding="utf-8").splitlines()


def functions(file: Path) -> Iterator[tuple[int, str]]:
    """Length and name of every function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.name


def repeated_runs(files: list[Path]) -> list[tuple[str, str]]:
    """Pairs of places that share at least ``RUN`` lines, blank lines.

    Imports and indentation left out; each run once.
    """
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    texts = []
    for number, file in enumerate(files):
        kept = [(at, line.strip()) for at, line in enumerate(lines_of(file), 1)]
        kept = [
            (at, line)
            for at, line in kept
            if line and not line.startswith(("import ", "from ")) and len(line) > 1
        ]
        texts.append(kept)
        for start in range(len(kept) - RUN + 1):
            places[tuple(line for _, line in kept[start : start + RUN])].append((number, start))
    starts = {pair for found in places.values() for pair in pairwise(found)}
    first = [
        (a, b) for a, b in sorted(starts) if ((a[0], a[1] - 1), (b[0], b[1] - 1)) not in starts
    ]
    return [(_place(files, texts, one), _place(files, texts, other)) for one, other in first]


def _place(files: list[Path], texts: list[list[tuple[int, str]]], place: tuple[int, int]) -> str:
    number, start = place
    return f"{files[number]}:{texts[number][start][0]}"


def figures(root: Path) -> tuple[dict[str, str], list[str]]:
    """The figures of one tree, and where its cycles and repetitions are."""
    own, everything = python_files(root, SOURCES), python_files(root, ALL)
    sizes = {file: len(lines_of(file)) for file in own}
    biggest = max(own, key=sizes.__getitem__)
    length, name, where = max(
        (length, name, file) for file in own for length, name in functions(file)
    )
    marks = sum(bool(_SUPPRESSION.search(line)) for file in everything for line in lines_of(file))
    total = sum(len(lines_of(file)) for file in everything)
    own_marks = sum(bool(_SUPPRESSION.search(line)) for file in own for line in lines_of(file))
    cyclic = json.loads(
        subprocess.check_output([sys.executable, "-c", _CYCLES], cwd=root, text=True)
    )
    runs = repeated_runs(everything)
    own_runs = [
        run
        for run in runs
        if all(Path(place).relative_to(root).parts[0] in SOURCES for place in run)
    ]
    numbers = {
        "modules": f"{len(own)}",
        "lines": f"{sum(sizes.values())} (with tests and benchmarks {total})",
        "biggest file": f"{sizes[biggest]} ({biggest.relative_to(root)})",
        "median file": f"{statistics.median(sizes.values()):.0f}",
        "longest function": f"{length} ({where.relative_to(root)}, {name})",
        "modules in import cycles": f"{len(cyclic)}",
        "suppressions per 1000 lines": f"{1000 * own_marks / sum(sizes.values()):.1f} "
        f"(everywhere {1000 * marks / total:.1f})",
        f"repeated runs of {RUN} lines or more": f"{len(own_runs)} (everywhere {len(runs)})",
    }
    places = [f"cycle through {module}" for module in cyclic]
    return numbers, places + [" = ".join(run).replace(f"{root}/", "") for run in runs]


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commits", nargs="*", default=["HEAD"], help="as git names them")
    commits = parser.parse_args().commits
    columns, places = [], []
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            packed = subprocess.check_output(["git", "archive", commit])
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                tar.extractall(folder, filter="data")
            numbers, found = figures(Path(folder))
        columns.append(numbers)
        places += [f"{commit}: {place}" for place in found]
    table = Table("", *commits, box=None)
    for key in columns[0]:
        table.add_row(key, *(column[key] for column in columns))
    Console(width=200).print(table)
    print("\n".join(places))


if __name__ == "__main__":
    main()
