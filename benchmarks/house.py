"""Figures of the sources themselves: sizes, cycles, suppressions, repeated lines, constructs.

One column per commit, then the places in the last one's packages of what should not be there.

    python benchmarks/house.py 23fd53e HEAD

Needs the extra ``test`` (grimp comes with import-linter). Files are those of ``camtui/`` and
``evaluator/``; "everywhere" counts ``tests/`` and ``benchmarks/`` as well.
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

WIDTH = 100
"""Columns that a line may have."""

CLAUSES = 3
"""``for`` and ``if`` clauses that one comprehension no longer has."""

_SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover|pyright:|mypy:|ruff:)")
_UNFORMATTED = re.compile(r"#\s*fmt:\s*(skip|off)\b")
_QUESTION = re.compile(r"(What|Where|How)\b")
_CYCLES = """
import grimp, json, sys
graph = grimp.build_graph(
    "camtui", "evaluator", exclude_type_checking_imports=sys.argv[1] == "run", cache_dir=None
)

def returns(module):
    imported = graph.find_modules_directly_imported_by(module)
    return any(one == module or graph.chain_exists(one, module) for one in imported)

print(json.dumps([module for module in sorted(graph.modules) if returns(module)]))
"""

_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def python_files(root: Path, folders: tuple[str, ...]) -> list[Path]:
    """Every module of these folders."""
    return sorted(file for folder in folders for file in (root / folder).rglob("*.py"))


def lines_of(file: Path) -> list[str]:
    """A file's lines."""
    return file.read_text(encoding="utf-8").splitlines()


def tree_of(file: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


def functions(file: Path) -> Iterator[tuple[int, str]]:
    """Length and name of every function."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.name


def nested_conditionals(tree: ast.Module) -> list[int]:
    """Lines of conditional expressions that hold another one as condition or as value."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.IfExp)
        and any(isinstance(part, ast.IfExp) for part in ast.iter_child_nodes(node))
    ]


def long_comprehensions(tree: ast.Module) -> list[int]:
    """Lines of comprehensions with ``CLAUSES`` clauses, or with one inside one inside them."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, _Comprehension):
            clauses = sum(1 + len(generator.ifs) for generator in node.generators)
            if clauses >= CLAUSES or _depth(node) > 2:
                found.append(node.lineno)
    return found


def _depth(node: ast.AST) -> int:
    """How many comprehensions stand one in another, this node counted."""
    below = max((_depth(part) for part in ast.iter_child_nodes(node)), default=0)
    return below + isinstance(node, _Comprehension)


def question_docstrings(tree: ast.Module) -> list[int]:
    """Lines of docstrings that begin with What, Where or How; those of attributes too."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and _QUESTION.match(node.value.value.lstrip())
    ]


def private_imports(tree: ast.Module) -> list[int]:
    """Lines that import a private name or module of a package that is neither ours nor Python's."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        if any(_foreign(name) and _private(name) for name in names):
            found.append(node.lineno)
    return found


def _foreign(name: str) -> bool:
    return name.split(".")[0] not in {*ALL, *sys.stdlib_module_names, "_typeshed"}


def _private(name: str) -> bool:
    return any(re.match(r"_(?!_)", part) for part in name.split("."))


def late_imports(tree: ast.Module) -> list[int]:
    """Lines that import a module of ours inside a function."""
    found: set[int] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                else:
                    continue
                if any(name.split(".")[0] in SOURCES for name in names):
                    found.add(node.lineno)
    return sorted(found)


SYNTAX = {
    "nested conditional expressions": nested_conditionals,
    f"comprehensions of {CLAUSES} clauses, or three deep": long_comprehensions,
    "docstrings that begin with What, Where, How": question_docstrings,
    "imports of private names of other packages": private_imports,
    "imports of our own inside functions": late_imports,
}
"""Name of a figure → the function that finds its lines in a syntax tree."""


def of_syntax(files: list[Path]) -> dict[str, list[str]]:
    """Name of a figure of ``SYNTAX`` → the places where it is found."""
    found: dict[str, list[str]] = {name: [] for name in SYNTAX}
    for file in files:
        tree = tree_of(file)
        for name, find in SYNTAX.items():
            found[name] += [f"{file}:{line}" for line in find(tree)]
    return found


def of_lines(files: list[Path]) -> dict[str, list[str]]:
    """Name of a figure of single lines → the places where it is found."""
    found: dict[str, list[str]] = {f"lines of more than {WIDTH}": [], "fmt: skip": []}
    wide, unformatted = found.values()
    for file in files:
        for number, line in enumerate(lines_of(file), 1):
            if len(line) > WIDTH:
                wide.append(f"{file}:{number}")
            if _UNFORMATTED.search(line):
                unformatted.append(f"{file}:{number}")
    return found


def repeated_runs(files: list[Path]) -> list[tuple[str, str]]:
    """Pairs of places that share at least ``RUN`` lines, each run once.

    Blank lines, imports and indentation do not count.
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


def import_cycles(root: Path, imports: str) -> list[str]:
    """Modules of ours that import themselves by way of others, imports inside functions counted.

    Args:
        root: of the tree.
        imports: ``run`` for those that run, ``all`` for those under ``TYPE_CHECKING`` as well.
    """
    command = [sys.executable, "-c", _CYCLES, imports]
    modules: list[str] = json.loads(subprocess.check_output(command, cwd=root, text=True))
    return modules


def figures(root: Path) -> tuple[dict[str, str], list[str]]:
    """The figures of one tree, and the places of what should not be there."""
    own, everything = python_files(root, SOURCES), python_files(root, ALL)
    found = places_in(own, everything)
    found["modules in import cycles"] = import_cycles(root, "run"), None
    found["the same with TYPE_CHECKING imports"] = import_cycles(root, "all"), None
    numbers = sizes(root, own, everything)
    for name, (ours, anywhere) in found.items():
        aside = "" if anywhere is None else f" (everywhere {len(anywhere)})"
        numbers[name] = f"{len(ours)}{aside}"
    places = [f"{name}: {place}" for name, (ours, _) in found.items() for place in ours]
    return numbers, [place.replace(f"{root}/", "") for place in places]


def sizes(root: Path, own: list[Path], everything: list[Path]) -> dict[str, str]:
    """Figures of lengths: of files and functions, and suppressions in so many lines."""
    lines = {file: lines_of(file) for file in everything}
    longest = max(own, key=lambda file: len(lines[file]))
    length, name, where = max((*one, file) for file in own for one in functions(file))
    total = {name: sum(len(lines[file]) for file in part) for name, part in _parts(own, everything)}
    marks = {
        name: sum(bool(_SUPPRESSION.search(line)) for file in part for line in lines[file])
        for name, part in _parts(own, everything)
    }
    return {
        "modules": f"{len(own)}",
        "lines": f"{total['own']} (with tests and benchmarks {total['all']})",
        "biggest file": f"{len(lines[longest])} ({longest.relative_to(root)})",
        "median file": f"{statistics.median(len(lines[file]) for file in own):.0f}",
        "longest function": f"{length} ({where.relative_to(root)}, {name})",
        "suppressions per 1000 lines": f"{1000 * marks['own'] / total['own']:.1f} "
        f"(everywhere {1000 * marks['all'] / total['all']:.1f})",
    }


def _parts(own: list[Path], everything: list[Path]) -> list[tuple[str, list[Path]]]:
    return [("own", own), ("all", everything)]


def places_in(
    own: list[Path], everything: list[Path]
) -> dict[str, tuple[list[str], list[str] | None]]:
    """Name of a figure → its places in the packages, and everywhere."""
    runs = repeated_runs(everything)
    inside = {str(file) for file in own}
    ours = [pair for pair in runs if all(place.rpartition(":")[0] in inside for place in pair)]
    title = f"repeated runs of {RUN} lines or more"
    found: dict[str, tuple[list[str], list[str] | None]] = {
        title: ([" = ".join(pair) for pair in ours], [" = ".join(pair) for pair in runs])
    }
    for find in (of_lines, of_syntax):
        anywhere = find(everything)
        found |= {name: (places, anywhere[name]) for name, places in find(own).items()}
    return found


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commits", nargs="*", default=["HEAD"], help="as git names them")
    commits = parser.parse_args().commits
    columns = []
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            packed = subprocess.check_output(["git", "archive", commit])
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                tar.extractall(folder, filter="data")
            numbers, places = figures(Path(folder))
        columns.append(numbers)
    table = Table("", *commits, box=None)
    for key in columns[0]:
        table.add_row(key, *(column[key] for column in columns))
    Console(width=200).print(table)
    print("\n".join(places))


if __name__ == "__main__":
    main()
