from __future__ import annotations

from pathlib import Path

import pytest

from camtui.format.judged import by_agreement, judged_tables, verdict_table, verdicts
from camtui.format.table import Table, plain_text
from camtui.judging.judgement import JudgeOptions, judge
from tests.camtui.judging.runs import IMAGES, METHODS, judged_run, ordered

FEW = JudgeOptions(draws=50)


def squeezed(table: Table) -> str:
    return " ".join(plain_text(table).split())


def test_the_tables_say_what_was_found(tmp_path: Path) -> None:
    cells = ordered(noise=0)
    cells["vgg16/fakecam"] = {
        "mass_accuracy": [0.9] * IMAGES,
        "deletion": [0.9] * IMAGES,
        "insertion": [0.0] * IMAGES,
    }
    cells["vgg16/wrongclass"] = {
        "mass_accuracy": [0.0] * IMAGES,
        "deletion": [0.9] * IMAGES,
        "insertion": [0.9] * IMAGES,
    }
    with judged_run(tmp_path / "a.db", cells) as reader:
        judged = judge(reader, FEW)
        agreement, controls, sensitivity, stability = (
            squeezed(table) for table in judged_tables(reader, judged)
        )
        said = verdicts(judged)
    assert said == [
        "The methods' order as in Mass Accuracy? Deletion most, τ 1.00 of 1; Insertion least, "
        "-1.00.",
        "A control above every method, on average? Not in 7 of 8 metrics: Average Drop, "
        "Average Increase, Deletion, Insertion, Coherency, Complexity, ADCC.",
        "Wrong class noticed? In 2 of 8 metrics: Deletion, Mass Accuracy.",
        "Two halves alike, 20 images each? Mass Accuracy most, τ 1.00 of 1.",
    ]
    assert by_agreement(judged[0])[:2] == ["mass_accuracy", "deletion"]
    assert by_agreement(judged[0])[-1] == "insertion"
    assert "Deletion ↓ 1.00 [1.00, 1.00] 1.00 [1.00, 1.00] 40" in agreement
    assert "Insertion ↑ -1.00 [-1.00, -1.00]" in agreement
    assert f"4 methods in order: {', '.join(METHODS)}" in agreement
    assert "Mass Accuracy ↑ 100.0 [100.0, 100.0] ! 20.0" in controls, "one of four and a control"
    assert "Deletion ↓ 0.0 [0.0, 0.0] 20.0" in controls
    assert "wrong class: gradcam" in sensitivity
    assert "Mass Accuracy ↑ 100.0 [100.0, 100.0] +20.00 [+20.00, +20.00]" in sensitivity
    assert "Insertion ↑ 0.0 [0.0, 0.0] -10.00 [-10.00, -10.00]" in sensitivity
    assert "random weights:" not in sensitivity
    assert "20 images" not in stability
    assert "1.00 [1.00, 1.00]" in stability


def test_methods_are_listed_once_for_each_kind_of_map(tmp_path: Path) -> None:
    cells = ordered()
    for method in METHODS:
        cells[f"vgg16:weights=random:0/{method}"] = cells[f"vgg16/{method}"]
    short = {key: column for key, column in cells["vgg16/scorecam"].items() if key != "deletion"}
    cells["vgg16:weights=random:0/scorecam"] = short
    with judged_run(tmp_path / "a.db", cells) as reader:
        tables = judged_tables(reader, judge(reader, FEW))
    (sensitivity,) = [table for table in tables if "random weights" in table.title]
    assert sensitivity.blocks[0].notes == (f"random weights: {', '.join(METHODS)}",)


def test_what_a_run_does_not_have_has_no_table(tmp_path: Path) -> None:
    with judged_run(tmp_path / "a.db", ordered(images=6)) as reader:
        titles = [table.title for table in judged_tables(reader, judge(reader, FEW))]
    assert [title.rpartition(" · ")[2] for title in titles] == ["agreement with truth"]


@pytest.mark.parametrize("digits", [0, 3])
def test_digits(tmp_path: Path, digits: int) -> None:
    with judged_run(tmp_path / "a.db", ordered()) as reader:
        text = plain_text(judged_tables(reader, judge(reader, FEW), digits)[0])
    assert f"{1:.{digits}f} [{1:.{digits}f}, {1:.{digits}f}]" in text


def test_the_null_control_and_chance_stand_beside_random_weights(tmp_path: Path) -> None:
    cells = ordered(noise=0)
    for method in METHODS:
        random = {**cells[f"vgg16/{method}"], "insertion": [0.01] * IMAGES}
        random["deletion"] = [1.0] * IMAGES
        cells[f"vgg16:weights=random:0/{method}"] = random
    with judged_run(tmp_path / "a.db", cells) as reader:
        *_, without, _ = judged_tables(reader, judge(reader, FEW))
    assert "-m centre,fakecam on both networks adds" in squeezed(without)
    same = {"mass_accuracy": [0.3] * IMAGES, "deletion": [0.5] * IMAGES}
    cells["vgg16/centre"] = {**same, "insertion": [0.5] * IMAGES}
    cells["vgg16:weights=random:0/centre"] = {**same, "insertion": [0.01] * IMAGES}
    with judged_run(tmp_path / "b.db", cells) as reader:
        judged = judge(reader, FEW)
        *_, table, _ = judged_tables(reader, judged)
        said, short = verdicts(judged), squeezed(verdict_table(reader, judged))
    text = squeezed(table)
    assert "random weights random weights: fall Centre Centre: fall Centre: excess chance" in text
    (row,) = [row for row in table.blocks[0].rows if row.entries[0].text.startswith("Insertion")]
    assert [entry.text for entry in row.entries[1:]] == [
        "100.0", "+64.00", "100.0", "+49.00", "0.0", "50.0",
    ]  # fmt: skip
    assert "adds" not in text
    assert (
        "Random weights noticed, more often than with Centre? In 1 of 8 metrics: Deletion." in said
    )
    assert "Insertion ↑ -1.00 0.0 = 100.0 1.00" in short
    (found,) = [s for s in judged[0].sensitivity if s.metric == "insertion"]
    assert found.chance == 0.5
    (null,) = found.null_controls
    assert (null.control, null.noticed.value, null.excess.value) == ("centre", 1, 0)
