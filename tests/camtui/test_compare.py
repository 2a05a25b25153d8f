"""Two runs pair image by image; what cannot be paired is refused or said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from camtui.compare import compare_runs
from evaluator.errors import Mismatch, NotFound
from evaluator.metrics import all_metrics
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

ADCC = [all_metrics()["adcc"]]
RESIZE = "$.preprocessing.resize"
METHODS = ("fakecam", "gradcam", "gradcampp")


def run(path: Path, name: str, **options: object) -> RunReader:
    settings: dict[str, object] = {"methods": METHODS, "backbones": ["resnet18"], **options}
    return RunReader(make_run(path / f"{name}.db", **settings))  # type: ignore[arg-type]  # keyword bag of a test


def test_the_change_is_the_second_minus_the_first_over_common_images(tmp_path: Path) -> None:
    first, second = run(tmp_path, "a"), run(tmp_path, "b", shift=0.05)
    found = compare_runs(first, second, [all_metrics()["average_drop"]])
    cell = next(cell for cell in found.cells if cell.method == "gradcam")
    rows = [
        {
            image.path: row.average_drop
            for row, image, _ in reader.rows.of_cell(2)
            if row.average_drop is not None
        }
        for reader in (first, second)
    ]
    common = rows[0].keys() & rows[1].keys()
    assert cell.n == len(common) == 38
    assert cell.first == pytest.approx(sum(rows[0][path] for path in common) / 38)
    assert cell.change == pytest.approx(sum(rows[1][path] - rows[0][path] for path in common) / 38)
    assert cell.change > 0
    assert cell.gain < 0
    assert cell.verdict == "worse"


def test_the_change_of_adcc_is_that_of_the_headline(tmp_path: Path) -> None:
    first, second = (
        run(tmp_path, "a", undefined=False),
        run(tmp_path, "b", undefined=False, shift=-0.05),
    )
    means = [
        {s.cell: s.means["adcc"].value for s in reader.averages.summaries()}
        for reader in (first, second)
    ]
    for place, cell in enumerate(compare_runs(first, second, ADCC).cells, 1):
        assert cell.change == pytest.approx(means[1][place] - means[0][place], abs=1e-9)
    assert [cell.verdict for cell in compare_runs(first, second, ADCC).cells] == [
        "tie",
        "better",
        "better",
    ]


def test_images_pair_by_path_whatever_their_order(tmp_path: Path) -> None:
    paths = [f"x/{rank}.png".encode() for rank in range(10)]
    first = run(tmp_path, "a", images=10, paths=paths, failures=False, undefined=False)
    second = run(tmp_path, "b", images=5, paths=paths[::2], failures=False, undefined=False)
    found = compare_runs(first, second, ADCC)
    assert {cell.n for cell in found.cells} == {5}
    drops = {image.path: row.average_drop for row, image, _ in first.rows.of_cell(2)}
    cell = next(
        c
        for c in compare_runs(first, second, [all_metrics()["average_drop"]]).cells
        if c.method == "gradcam"
    )
    assert cell.first == pytest.approx(sum(drops[path] or 0 for path in paths[::2]) / 5)


def test_cells_that_only_one_has(tmp_path: Path) -> None:
    found = compare_runs(
        run(tmp_path, "a"), run(tmp_path, "b", methods=["gradcam", "layercam"]), ADCC
    )
    assert found.only_first == ("resnet18/fakecam", "resnet18/gradcampp")
    assert found.only_second == ("resnet18/layercam",)
    assert [cell.method for cell in found.cells] == ["gradcam"]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"resize": 256}, "resize: 224 → 256"),
        ({"target": "label"}, "target: predicted → label"),
        ({"precision": "bf16"}, "bf16"),
    ],
)
def test_other_protocols_are_refused_unless_forced(
    tmp_path: Path, plan: dict[str, object], said: str
) -> None:
    first, second = run(tmp_path, "a"), run(tmp_path, "b", plan=plan)
    with pytest.raises(Mismatch, match=said) as caught:
        compare_runs(first, second, ADCC)
    assert "--force" in caught.value.hint
    assert any(said in note for note in compare_runs(first, second, ADCC, force=True).notes)


def test_networks_that_were_shown_something_else_are_another_protocol(tmp_path: Path) -> None:
    first, second = run(tmp_path, "a"), run(tmp_path, "b")
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection, connection:
        connection.execute("UPDATE backbones SET loaded = json_set(loaded, ?, ?)", (RESIZE, 256))
    with pytest.raises(Mismatch, match=r"resnet18 input: 224 from 224 .* → 224 from 256"):
        compare_runs(first, second, ADCC)


def test_steps_of_curves_matter_to_curves_only(tmp_path: Path) -> None:
    first, second = run(tmp_path, "a"), run(tmp_path, "b", plan={"curve_steps": 224})
    assert compare_runs(first, second, ADCC).cells
    with pytest.raises(Mismatch, match="curve-steps: 28 → 224"):
        compare_runs(first, second, [all_metrics()["deletion"]])


def test_other_seeds_are_a_note(tmp_path: Path) -> None:
    paths = [f"x/{rank}.png".encode() for rank in range(40)]
    first, second = run(tmp_path, "a", paths=paths), run(tmp_path, "b", paths=paths, seed=5)
    notes = compare_runs(first, second, ADCC).notes
    assert any("seeds differ (0 → 5)" in note for note in notes)
    assert any("data folders are not the same" in note for note in notes)


def test_no_common_cell_and_no_common_image(tmp_path: Path) -> None:
    first = run(tmp_path, "a")
    with pytest.raises(NotFound, match="no common cell: resnet18/fakecam"):
        compare_runs(first, run(tmp_path, "b", backbones=["vgg16"]), ADCC)
    with pytest.raises(NotFound, match="no image in common"):
        compare_runs(
            first, run(tmp_path, "c", paths=[f"{rank}.png".encode() for rank in range(40)]), ADCC
        )


def test_drops_beyond_a_limit(tmp_path: Path) -> None:
    found = compare_runs(run(tmp_path, "a"), run(tmp_path, "b", shift=0.05), ADCC)
    fall = {cell.method: -cell.gain for cell in found.cells}
    assert fall["gradcam"] > fall["gradcampp"] > 0.005 > fall["fakecam"]
    assert [cell.method for cell in found.drops(0.005)] == ["gradcam", "gradcampp"]
    assert [cell.method for cell in found.drops((fall["gradcam"] + fall["gradcampp"]) / 2)] == [
        "gradcam"
    ]
    assert found.drops(0.5) == []


def test_fewer_than_ten_common_images_are_no_verdict(tmp_path: Path) -> None:
    for images, verdict in ((9, "untested"), (10, "worse")):
        first, second = (
            run(tmp_path, f"{name}{images}", images=images, shift=shift, failures=False,
                undefined=False, methods=["gradcam"])
            for name, shift in (("a", 0.0), ("b", 0.3))
        )  # fmt: skip
        found = compare_runs(first, second, [all_metrics()["average_drop"]])
        assert [cell.verdict for cell in found.cells] == [verdict]
        assert ("untested: fewer than 10" in found.test) == (images == 9)
        assert ("Holm over 1 of them" in found.test) == (images == 10)


def test_verdicts_are_tested_together(tmp_path: Path) -> None:
    """What one test by itself would call better, and all that are listed do not."""
    paths = [f"x/{rank}.png".encode() for rank in range(30)]
    first, second = (
        run(tmp_path, name, images=30, paths=paths, seed=seed, shift=shift)
        for name, seed, shift in (("a", 0, 0.0), ("b", 1, 0.05))
    )
    every = compare_runs(first, second, list(all_metrics().values())[:7], force=True).cells
    alone = {cell for cell in every if cell.paired.tested and not cell.paired.tie}
    together = {cell for cell in every if cell.verdict in ("better", "worse")}
    assert together <= alone
    smallest = sorted(cell.paired.p or 0 for cell in every if cell.paired.tested)
    expected = 0
    while expected < len(smallest) and smallest[expected] <= 0.05 / (len(smallest) - expected):
        expected += 1
    assert len(together) == expected < len(alone)


@pytest.mark.parametrize("metric", ["road", "arcc"])
def test_road_with_noise_after_the_normalisation_is_another_protocol(
    tmp_path: Path, metric: str
) -> None:
    old, new = run(tmp_path, "a", plan={"road_noise": "normalised"}), run(tmp_path, "b")
    with pytest.raises(Mismatch, match="road-noise: normalised → pixels"):
        compare_runs(old, new, [all_metrics()[metric]])
    assert compare_runs(old, new, ADCC).cells, "which other metrics do not ask about"
