"""``camtui doctor``: a run's sums against its rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.camtui.cli.support import typed
from tests.synthetic import make_run


def test_the_doctor_finds_and_repairs_wrong_sums(home: Path) -> None:
    assert typed("doctor").exit_code == 0
    make_run(home / "runs" / "pictures.db", images=4)
    assert typed("doctor", "pictures").exit_code == 0
    with sqlite3.connect(home / "runs" / "pictures.db") as connection:
        connection.execute(
            "UPDATE sums SET total = total + 1 WHERE a = 'coherency' AND b = '' AND cell_id = 1"
        )
        connection.execute("UPDATE histograms SET n = n + 1 WHERE metric = 'adcc' AND cell_id = 2")
    connection.close()
    sick = typed("doctor", "pictures")
    assert sick.exit_code == 1
    assert sick.stdout.splitlines() == [
        "resnet18/fakecam: the sum of coherency is not that of its rows",
        "resnet18/gradcam: the histogram of adcc is not that of its rows",
    ]
    assert typed("doctor", "pictures", "--repair").exit_code == 0
    assert (
        typed("doctor", "pictures", "--json").stdout
        == '{"run": "pictures", "problems": [], "remark": ""}\n'
    )


def test_the_extras_are_named(home: Path) -> None:
    words = typed("doctor").stdout
    line = next(line for line in words.splitlines() if line.startswith("extras"))
    there, _, absent = line.partition("; not installed: ")
    assert "demo" in there
    assert "figures" in there
    assert set(there.removeprefix("extras").strip().split(", ")).isdisjoint(
        absent.partition(":")[0].split(", ")
    )


def test_a_picture_is_drawn_in_quadrants_and_in_half_cells(home: Path) -> None:
    _, quadrants, halves = typed("doctor", "--images").stdout.split("\n\n")
    for part, title, signs in (
        (quadrants, "quadrants: the default", "▖▟▌"),
        (halves, "halves: camtui watch --images half", "▀"),
    ):
        head, *lines = part.rstrip("\n").split("\n")
        assert head == title
        assert [len(line) for line in lines] == [28] * 14
        assert set(signs) <= set("".join(lines))
    assert "quadrants" not in typed("doctor", "--images", "--json").stdout
