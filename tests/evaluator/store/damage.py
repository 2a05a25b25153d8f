"""Damaged run files before every command that reads: no traceback, and no damage that can be seen
and is not found.

``python -m tests.evaluator.store.damage`` damages 60 files, ``--full`` 820; ``--seed N`` others. It
prints the counts: calls, tracebacks, errors that nobody had raised on purpose (each ends in a
sentence), files whose damage some command shows, and how many of those ``camtui doctor`` found.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from typer.testing import CliRunner

from camtui.cli.app import app
from camtui.tui.run_connection import RunConnection
from evaluator.errors import CamtuiError
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status", "RUN"),
    ("table", "RUN"),
    ("table", "RUN", "--long", "--ci"),
    ("table", "RUN", "--pivot", "adcc"),
    ("show", "RUN"),
    ("show", "RUN", "--json"),
    ("errors", "RUN"),
    ("errors", "RUN", "--json"),
    ("worst", "RUN"),
    ("worst", "RUN", "--by", "deletion", "--cell", "resnet18/gradcam", "--json"),
    ("export", "RUN", "--per-image"),
    ("export", "RUN", "-f", "json"),
    ("export", "RUN", "-f", "latex"),
    ("logs", "RUN", "--level", "info"),
    ("compare", "RUN", "BASE"),
    ("ls",),
)

Damage = Callable[[bytearray, Random], None]


def flip_bits(data: bytearray, random: Random, count: int = 1) -> None:
    for _ in range(count):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def flip_many(data: bytearray, random: Random) -> None:
    flip_bits(data, random, 64)


def flip_header(data: bytearray, random: Random) -> None:
    data[random.randrange(100)] ^= 1 << random.randrange(8)


def overwrite(data: bytearray, random: Random) -> None:
    place, length = random.randrange(len(data)), random.choice((4, 40, 400))
    data[place : place + length] = random.randbytes(len(data[place : place + length]))


def zero_page(data: bytearray, random: Random) -> None:
    place = random.randrange(1, len(data) // 4096) * 4096
    data[place : place + 4096] = bytes(4096)


def swap_pages(data: bytearray, random: Random) -> None:
    first, second = (random.randrange(1, len(data) // 4096) * 4096 for _ in range(2))
    data[first : first + 4096], data[second : second + 4096] = (
        data[second : second + 4096],
        data[first : first + 4096],
    )


def cut_short(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def change_text(data: bytearray, random: Random) -> None:
    """A letter of some text: a name, the plan, an event."""
    places = [place for place in random.sample(range(len(data)), 400) if 97 <= data[place] <= 122]
    if places:
        data[places[0]] = 97 + (data[places[0]] - 96) % 26


BYTES: tuple[Damage, ...] = (
    flip_bits,
    flip_bits,
    flip_many,
    flip_header,
    overwrite,
    zero_page,
    swap_pages,
    cut_short,
    change_text,
)


def change_value(path: Path, random: Random) -> None:
    """Another value in some column, as a tool would write it: the file itself stays in order."""
    words = ("'x'", "''", "'{}'", "'[1]'", "'null'", "x'00ff'", "x''")
    values = ("NULL", "0", "7", "-1", "0.5", "1e308", "9223372036854775807", *words)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        for _ in range(20):
            table = random.choice(tables)
            column = random.choice(
                [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            )
            size = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            some = f"ORDER BY {column} LIMIT 1 OFFSET {random.randrange(max(1, size))}"
            where = (
                f"{column} IS (SELECT {column} FROM {table} {some})"
                if random.random() < 0.7
                else "1"
            )
            try:
                done = connection.execute(
                    f"UPDATE OR REPLACE {table} SET {column} = {random.choice(values)} WHERE "
                    f"{where}"
                )
            except sqlite3.Error:
                continue
            if done.rowcount:
                return


class Counts(NamedTuple):
    """What a campaign has seen."""

    files: int
    calls: int
    tracebacks: int
    unexpected: int
    visible: int
    found: int
    places: Counter[str]
    missed: list[str]


def campaign(folder: Path, files: int, seed: int = 0) -> Counts:
    """Damage so many copies of one run and call every command on each."""
    os.environ["CAMTUI_HOME"] = str(folder)
    path, base = folder / "runs" / "run.db", folder / "base.db"
    make_run(
        path,
        images=24,
        backbones=["resnet18"],
        methods=["fakecam", "gradcam", "gradcampp"],
        total=30,
    )
    base.write_bytes(path.read_bytes())
    whole = base.read_bytes()
    stamp = time.time()
    expected = dict(shown(path, base, stamp))
    counts = Counter[str]()
    places, missed = Counter[str](), list[str]()
    for number in range(files):
        random = Random(seed * 1_000_003 + number)
        how = _damage(path, whole, random, number)
        if path.read_bytes() == whole:
            continue
        counts["files"] += 1
        different = False
        for words, result in shown(path, base, stamp):
            counts["calls"] += 1
            counts["tracebacks"] += result.traceback
            if result.unexpected:
                counts["unexpected"] += 1
                places[result.unexpected] += 1
            different |= result != expected[words]
        counts["tracebacks"] += _dashboard_fails(path)
        if different:
            counts["visible"] += 1
            found = _call(("doctor", str(path))).code != 0
            counts["found"] += found
            if not found:
                missed.append(f"{number} ({how})")
    return Counts(
        counts["files"],
        counts["calls"],
        counts["tracebacks"],
        counts["unexpected"],
        counts["visible"],
        counts["found"],
        places,
        missed,
    )


def _damage(path: Path, whole: bytes, random: Random, number: int) -> str:
    """Write a damaged copy; returns how it was damaged."""
    for end in (
        "",
        "-wal",
        "-shm",
        "-journal",
    ):  # another inode: what a command has left open is not this file
        Path(f"{path}{end}").unlink(missing_ok=True)
    if number % 3 == 2:
        path.write_bytes(whole)
        change_value(path, random)
        return "change_value"
    damage, data = random.choice(BYTES), bytearray(whole)
    damage(data, random)
    path.write_bytes(data)
    return damage.__name__


class Shown(NamedTuple):
    """What a command printed and how it ended."""

    code: int
    output: str
    traceback: bool
    unexpected: str


def shown(path: Path, base: Path, stamp: float) -> Iterator[tuple[tuple[str, ...], Shown]]:
    """Every reading command on a file."""
    os.utime(path, (stamp, stamp))
    for words in COMMANDS:
        yield (
            words,
            _call(tuple({"RUN": str(path), "BASE": str(base)}.get(word, word) for word in words)),
        )


def _call(words: tuple[str, ...]) -> Shown:
    result = CliRunner().invoke(app, list(words), env={"CAMTUI_TRACEBACK": ""})
    failed = result.exception is not None and not isinstance(result.exception, SystemExit)
    said = next(
        (
            line
            for line in result.stderr.splitlines()
            if line.startswith("error: ") and line.endswith(")")
        ),
        "",
    )
    hinted = "CAMTUI_TRACEBACK=1" in result.stderr
    return Shown(
        result.exit_code,
        result.stdout,
        failed or "Traceback" in result.output,
        said[7:] if hinted else "",
    )


def _dashboard_fails(path: Path) -> bool:
    """Whether what the dashboard looks at ends in anything but its own errors."""
    try:
        connection = RunConnection(path)
    except CamtuiError:
        return False
    except Exception:
        return True
    try:
        for question in (
            lambda reader, cell: reader.averages.histogram(cell, "adcc"),
            lambda reader, cell: list(reader.averages.convergence(cell)),
            lambda reader, cell: reader.ranking.page(cell, "complexity", ascending=False, limit=5),
        ):
            asyncio.run(connection.ask(partial(_of_every_cell, question)))
    except CamtuiError:
        return False
    except Exception:
        return True
    finally:
        connection.close()
    return False


def _of_every_cell(question: Callable[[RunReader, int], object], reader: RunReader) -> list[object]:
    return [question(reader, cell.id) for cell in reader.cells()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--full", action="store_true", help="820 files, of which some come out unchanged"
    )
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        seen = campaign(Path(folder), 820 if arguments.full else arguments.files, arguments.seed)
    print(f"{seen.files} damaged files, {seen.calls} calls")
    print(
        f"tracebacks {seen.tracebacks}; errors that nobody raised on purpose, told in a "
        f"sentence: {seen.unexpected}"
    )
    for place, count in seen.places.most_common(12):
        print(f"    {count:>4}  {place}")
    print(
        f"damage that a command shows: {seen.visible}; found by doctor {seen.found}; "
        f"undetected {seen.visible - seen.found}"
    )
    for missed in seen.missed:
        print(f"    undetected: {missed}")


if __name__ == "__main__":
    main()
