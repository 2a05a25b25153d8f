"""Figures of the sources, and limits that keep them small: files, lines, records, hand-offs.

One column per commit; ``--check`` measures this tree alone and fails where a limit is passed.

    python benchmarks/house.py b834379 HEAD
    python benchmarks/house.py --check
    python benchmarks/house.py --walks

Needs the extra ``test`` (grimp comes with import-linter). Files are those of ``camtui/`` and
``evaluator/``.

``--walks`` follows three ways through the sources, file by file. A walk is the functions of these
files in the order of their first call; what runs while a module is imported does not count, nor do
comprehensions and lambdas, which are part of a function. Each process is a part of the walk,
in the order of their starts, and in each process the threads come before the main one; so a walk
does not depend on which process is faster. Calls in one file after each other are one *stay*;
a *return* is a stay in a file that was there before; *rooms* are the different files.

* ``request``: ``camtui run --detach`` of two images with Grad-CAM on the synthetic network, from
  the command line to its end, then the driver until it hands out its first unit.
* ``image``: the worker from when it gets a unit with images, then the driver from its result to its
  commit.
* ``query``: a question of the dashboard's grid, the averages of all cells, from
  ``RunConnection.ask`` to SQLite's last answer.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
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

WALKS = {"request": (195, 57), "image": (90, 37), "query": (None, 5)}
"""Walk → the most stays and rooms that it may have."""

_MARKS = ("submit", "prefetch", "deliver", "ask", "answer")
"""Functions at whose calls a walk may begin or end: those called before are new again."""

_HOOK = """
import os, sys, threading, time

root, log, marks = os.environ["WALK_ROOT"], os.environ["WALK_LOG"], os.environ["WALK_MARKS"]
seen, marks, descriptor = set(), marks.split(","), os.open(log, os.O_WRONLY | os.O_APPEND)
started, stopped = time.monotonic_ns(), set()

def importing(frame):
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False

def write(frame, *rest):
    code, main = frame.f_code, threading.current_thread() is threading.main_thread()
    words = started, os.getpid(), int(main), time.monotonic_ns(), code.co_filename[len(root) + 1:]
    os.write(descriptor, " ".join(map(str, (*words, code.co_qualname, *rest))).encode() + b"\\n")

def called(frame, event, _):
    code = frame.f_code
    if code in seen and code.co_name not in marks:
        return None
    ours = code.co_filename.startswith((root + "/camtui/", root + "/evaluator/"))
    if not ours or code.co_name.startswith("<") or not code.co_flags & 1 or importing(frame):
        return None
    if code.co_name not in marks:
        seen.add(code)
        write(frame)
        return None
    seen.clear()
    seen.add(code)
    write(frame, "begins")
    frame.f_trace_lines = False
    return lambda frame, event, _: write(frame, "ends") if event == "return" else None

threading.settrace(called)
sys.settrace(called)
"""

_QUERY = """
import asyncio
from pathlib import Path
from sys import argv
from camtui.tui.run_connection import RunConnection
connection = RunConnection(Path(argv[1]))
asyncio.run(connection.ask(lambda reader: reader.averages.summaries()))
connection.close()
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
        "files": Figure(len(files), 312),
        "lines": Figure(total, 64_300),
        "lines of tests": Figure(tests, 52_900),
        f"files below {SMALL} lines outside an axis": Figure(len(small), 15, _names(small)),
        "pairs of records that mirror each other": Figure(len(mirrors), 3, mirrors),
        f"files that name the option {OPTION}": Figure(len(option), 2, _names(option)),
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


class Call(NamedTuple):
    """The first call of a function: its process, whether in the main thread, when, and what."""

    started: int
    process: int
    main: int
    time: int
    file: str
    function: str
    mark: str = ""


class Walk(NamedTuple):
    """The files of a walk, one for each stay."""

    stays: tuple[str, ...]

    @property
    def rooms(self) -> int:
        """Different files."""
        return len(set(self.stays))

    @property
    def returns(self) -> int:
        """Stays in a file that was there before."""
        return len(self.stays) - self.rooms


def walks(root: Path) -> dict[str, Walk]:
    """Follow the three walks of a tree, in processes of their own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(_HOOK)
        world, home, log = folder / "world", folder / "home", folder / "log"
        plain = {**os.environ, "PYTHONPATH": str(root), "CAMTUI_HOME": str(home)}
        traced = {
            **plain,
            "PYTHONPATH": os.pathsep.join([name, str(root)]),
            "WALK_ROOT": str(root),
            "WALK_LOG": str(log),
            "WALK_MARKS": ",".join(_MARKS),
        }

        def python(*arguments: str, env: dict[str, str]) -> list[Call]:
            log.write_text("")
            command = [sys.executable, "-P", *arguments]
            done = subprocess.run(
                command, env=env, cwd=name, stdin=subprocess.DEVNULL, text=True, capture_output=True
            )
            if done.returncode:
                raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
            if "--detach" in arguments:
                _wait_for(json.loads(done.stdout)["pid"])
            return sorted(
                Call(int(started), int(process), int(main), int(now), *rest)
                for started, process, main, now, *rest in map(
                    str.split, log.read_text().splitlines()
                )
            )

        camtui = ("-m", "camtui")
        python(*camtui, "synth", str(world), "--images", "2", "--seed", "1", env=plain)
        run = python(
            *camtui, "run", "--data", str(world / "images"), "-b", "synthetic_cnn", "-m", "gradcam",
            "--device", "cpu", "--name", "walk", "--detach", "--json", env=traced,
        )  # fmt: skip
        query = python("-c", _QUERY, str(home / "runs" / "walk.db"), env=traced)
    command, driver, worker = ([c for c in run if c.process == p] for p in _processes(run))
    handed_out, received = _marks(driver, "submit")[0], _marks(worker, "prefetch")[0]
    delivered, committed = _marks(driver, "deliver")[0], _marks(driver, "deliver", "ends")[0]
    asked, answered = _marks(query, "ask")[0], _marks(query, "answer", "ends")[-1]
    return {
        "request": _walk([*command, *(call for call in driver if call.time <= handed_out)]),
        "image": _walk(
            [call for call in worker if call.time >= received]
            + [call for call in driver if delivered <= call.time <= committed]
        ),
        "query": _walk([call for call in query if asked <= call.time <= answered]),
    }


def _wait_for(process: int) -> None:
    """Wait until a driver has ended."""
    while Path(f"/proc/{process}").exists():
        time.sleep(0.1)


def _processes(calls: list[Call]) -> list[int]:
    return list(dict.fromkeys(call.process for call in calls))


def _marks(calls: list[Call], function: str, mark: str = "begins") -> list[int]:
    """When a function was called, or has returned."""
    return [
        call.time
        for call in calls
        if call.mark == mark and call.function.rpartition(".")[2] == function
    ]


def _walk(calls: list[Call]) -> Walk:
    first = {(call.file, call.function): None for call in calls}
    files = [file for file, _ in first]
    return Walk(
        tuple(file for file, before in zip(files, ["", *files], strict=False) if file != before)
    )


def checked(root: Path) -> int:
    """Print the figures of a tree against their limits; 1 where one is passed."""
    found = {**figures(root), **figures_of_walks(walks(root))}
    passed = {n: one for n, one in found.items() if one.most is not None and one.number > one.most}
    for name, one in found.items():
        limit = "" if one.most is None else f", at most {one.most:g}"
        print(f"{'ABOVE' if name in passed else 'ok':<6}{name}: {one.number:g}{limit}")
    for name, one in passed.items():
        print("".join(f"{name}: {place}\n" for place in one.places), end="")
    return int(bool(passed))


def figures_of_walks(found: dict[str, Walk]) -> dict[str, Figure]:
    """Stays, returns and rooms of walks, with their limits."""
    figures_: dict[str, Figure] = {}
    for name, walk in found.items():
        stays, rooms = WALKS[name]
        figures_[f"stays of {name}"] = Figure(len(walk.stays), stays, walk.stays)
        figures_[f"returns of {name}"] = Figure(walk.returns)
        figures_[f"rooms of {name}"] = Figure(walk.rooms, rooms, tuple(sorted(set(walk.stays))))
    return figures_


def compared(commits: list[str]) -> None:
    """Print the figures of commits side by side, then the places of the last one's."""
    columns = []
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            packed = subprocess.check_output(["git", "archive", commit])
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                tar.extractall(folder, filter="data")
            root = Path(folder).resolve()
            columns.append({**figures(root), **figures_of_walks(walks(root))})
    table = Table("", *commits, "at most", box=None)
    for name, last in columns[-1].items():
        limit = "" if last.most is None else f"{last.most:g}"
        numbers = [f"{column[name].number:g}" if name in column else "–" for column in columns]
        table.add_row(name, *numbers, limit)
    Console(width=200).print(table)
    for name, one in columns[-1].items():
        print("".join(f"{name}: {place}\n" for place in one.places), end="")


def main() -> None:
    """Check this tree, follow its walks, or compare commits."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commits", nargs="*", default=["HEAD"], help="as git names them")
    parser.add_argument("--check", action="store_true", help="this tree, against the limits")
    parser.add_argument("--walks", action="store_true", help="this tree's, file by file")
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    if options.check:
        sys.exit(checked(root))
    if options.walks:
        for name, walk in walks(root).items():
            print(f"{name}: {len(walk.stays)} stays, {walk.returns} returns, {walk.rooms} rooms")
            print("".join(f"  {file}\n" for file in walk.stays), end="")
    else:
        compared(options.commits)


if __name__ == "__main__":
    main()
