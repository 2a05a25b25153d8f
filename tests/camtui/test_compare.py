"""Two runs pair image by image, and what cannot be paired is refused or said; a run beside the
paper's tables.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from camtui.cli.commands.compare import paper_table
from camtui.compare import compare_runs
from camtui.paper import AgainstPaper, ClaimHere, compare_with_paper, table1, table2
from evaluator.errors import Mismatch, NotFound
from evaluator.metrics import all_metrics
from evaluator.statistics import Mean, harmonic_adcc
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
        ({"masking": "pixels"}, "masking: normalised → pixels"),
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


def test_what_pixels_become_matters_where_they_are_removed(tmp_path: Path) -> None:
    first, second = run(tmp_path, "a"), run(tmp_path, "b", plan={"removed": "blur"})
    assert compare_runs(first, second, [*ADCC, all_metrics()["insertion"]]).cells
    with pytest.raises(Mismatch, match="removed: zero → blur"):
        compare_runs(first, second, [all_metrics()["deletion"]])


def test_other_seeds_are_a_note(tmp_path: Path) -> None:
    paths = [f"x/{rank}.png".encode() for rank in range(40)]
    first, second = run(tmp_path, "a", paths=paths), run(tmp_path, "b", paths=paths, seed=5)
    notes = compare_runs(first, second, ADCC).notes
    assert any("seeds differ (0 → 5)" in note for note in notes)
    assert any("data folders are not the same" in note for note in notes)


def test_other_weights_come_with_both_accuracies(tmp_path: Path) -> None:
    paths = [f"x/{rank}.png".encode() for rank in range(30)]
    first, second = run(tmp_path, "a", paths=paths), run(tmp_path, "b", paths=paths, seed=5)
    assert not any("accuracy" in note for note in compare_runs(first, second, ADCC).notes)
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection, connection:
        connection.execute(
            "UPDATE backbones SET loaded = json_set(loaded, '$.sha256', ?)", ("b" * 64,)
        )
    right = [
        [
            row.predicted == image.label
            for row, image, _ in reader.rows.of_cell(1)
            if image.path in paths
        ]
        for reader in (first, second)
    ]
    old, new = (100 * sum(one) / len(one) for one in right)
    assert old != new
    assert (
        f"resnet18: accuracy {old:.1f} % → {new:.1f} % on the 30 common images with a label"
        in compare_runs(first, second, ADCC).notes
    )


def test_no_common_cell_and_no_common_image(tmp_path: Path) -> None:
    first = run(tmp_path, "a")
    with pytest.raises(NotFound, match="nothing in common: resnet18/fakecam"):
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


ROWS = [(backbone, method) for backbone, methods in table2().items() for method in methods]


def test_table_2_is_whole() -> None:
    assert len(ROWS) == 31
    assert sum(len(row) for methods in table2().values() for row in methods.values()) == 217
    rows = [row for methods in table2().values() for row in methods.values()]
    assert {key for row in rows for key in row} <= set(all_metrics())
    assert [backbone for backbone, method in ROWS if method == "xgradcam"] == ["vgg16"]


@pytest.mark.parametrize(("backbone", "method"), ROWS)
def test_adcc_is_that_of_the_printed_components(backbone: str, method: str) -> None:
    row = table2()[backbone][method]
    parts = (row["average_drop"] / 100, row["coherency"] / 100, row["complexity"] / 100)
    assert 100 * harmonic_adcc(*parts) == pytest.approx(row["adcc"], abs=0.05)


def test_table_1_says_what_table_2_says() -> None:
    assert {backbone: len(methods) for backbone, methods in table1().items()} == {
        "vgg16": 6,
        "resnet50": 5,
    }
    for backbone, methods in table1().items():
        for method, row in methods.items():
            assert row == {
                key: table2()[backbone][method][key] for key in ("average_drop", "average_increase")
            }


def test_numbers_that_stand_in_the_text_of_the_paper() -> None:
    assert table2()["resnext101_32x8d"]["gradcam"]["adcc"] == 77.62
    assert table2()["vgg16"]["fakecam"]["average_increase"] == 45.51
    assert table2()["resnet101"]["scorecam"] == {
        "average_drop": 7.20,
        "average_increase": 47.93,
        "deletion": 14.63,
        "insertion": 59.57,
        "coherency": 98.37,
        "complexity": 42.04,
        "adcc": 78.55,
    }


@pytest.mark.parametrize(
    ("ours", "se", "within"),
    [
        (0.7000, 0.001, True),
        (0.7030, 0.001, False),
        (0.70004, 0.0, True),
        (0.7001, 0.0, False),
        (0.7, None, None),
    ],
)
def test_within_our_interval(ours: float, se: float | None, within: bool | None) -> None:
    row = AgainstPaper("resnet18", "gradcam", "adcc", Mean(100, ours, se), 0.7)
    assert row.within is within
    assert row.difference == pytest.approx(ours - 0.7)


@pytest.fixture
def usual(tmp_path: Path) -> RunReader:
    return RunReader(
        make_run(tmp_path / "a.db", methods=["fakecam", "gradcam", "xgradcam", "layercam"])
    )


def test_every_number_that_both_have(usual: RunReader) -> None:
    rows = compare_with_paper(usual).rows
    pairs = {(row.backbone, row.method) for row in rows}
    assert pairs == {
        ("resnet18", "fakecam"),
        ("resnet18", "gradcam"),
        ("vgg16", "fakecam"),
        ("vgg16", "gradcam"),
        ("vgg16", "xgradcam"),
    }
    assert len(rows) == 7 * len(pairs)
    summaries = {s.cell: s.means for s in usual.averages.summaries()}
    for cell in usual.cells():
        for row in (
            row for row in rows if (row.backbone, row.method) == (cell.backbone, cell.method)
        ):
            assert row.ours == summaries[cell.id][row.metric]
            assert row.theirs == table2()[row.backbone][row.method][row.metric] / 100


def test_one_metric_only(usual: RunReader) -> None:
    assert {row.metric for row in compare_with_paper(usual, [all_metrics()["adcc"]]).rows} == {
        "adcc"
    }


def test_the_only_deviation_of_a_default_run_is_its_images(usual: RunReader) -> None:
    assert compare_with_paper(usual).deviations == (
        "40 images; the paper averages the 50,000 of ImageNet's validation set",
    )


def test_every_deviation_is_said(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "a.db",
        backbones=["resnet18:weights=random:3", "resnet50:layer=layer3", "vgg16:layer=features.29"],
        methods=["gradcam", "scorecam:variant=cic"],
        plan={"resize": 256, "target": "label", "precision": "mixed"},
        partial={"resnet50:layer=layer3/gradcam": 7},
    )
    said = "\n".join(compare_with_paper(RunReader(path)).deviations)
    for part in (
        "random:3",
        "layer layer3",
        "40 images",
        "/gradcam 7",
        "256",
        "label",
        "mixed",
        "scorecam:variant=cic",
    ):
        assert part in said
    assert "features.29" not in said


def test_open_choices_are_those_that_concern_the_run(usual: RunReader, tmp_path: Path) -> None:
    choices = " ".join(compare_with_paper(usual).open_choices)
    for part in (
        "preprocessing",
        "features.29",
        "coherency",
        "deletion and insertion",
        "harmonic mean of the averaged",
    ):
        assert part in choices
    assert "Score-CAM" not in choices
    other = RunReader(
        make_run(
            tmp_path / "b.db",
            backbones=["resnet50"],
            methods=["scorecam", "smoothgradcampp"],
            curves=False,
        )
    )
    choices = " ".join(compare_with_paper(other).open_choices)
    assert "variant=cic" in choices
    assert "last-pass" in choices
    assert "VGG-16" not in choices
    assert "deletion" not in choices


@pytest.mark.parametrize(
    ("backbones", "methods", "message"),
    [
        (["efficientnet_lite0"], ["gradcam"], "none of this run's networks"),
        (["resnet18"], ["layercam"], "no number of this run"),
    ],
)
def test_nothing_in_common(
    tmp_path: Path, backbones: list[str], methods: list[str], message: str
) -> None:
    reader = RunReader(make_run(tmp_path / "a.db", backbones=backbones, methods=methods))
    with pytest.raises(NotFound, match=message):
        compare_with_paper(reader)


def test_other_weights_protocol_and_images_stand_in_the_heading(tmp_path: Path) -> None:
    def heading(name: str, **settings: object) -> tuple[str, list[str]]:
        path = make_run(tmp_path / f"{name}.db", methods=["gradcam"], **settings)  # type: ignore[arg-type]  # keyword bag of a test
        with RunReader(path) as reader:
            table = paper_table(reader, compare_with_paper(reader), 2)
        return table.title, [block.title for block in table.blocks]

    assert heading("a", backbones=["vgg16"])[0].endswith("not the paper's number of images")
    title, blocks = heading("b", backbones=["resnet18:weights=random:3", "vgg16"])
    assert title.endswith("not the paper's weights, number of images")
    assert blocks == [
        "resnet18:weights=random:3 (weights random:3: not the paper's)",
        "vgg16",
    ]
    title, _ = heading("c", backbones=["vgg16"], plan={"target": "label"})
    assert title.endswith("not the paper's protocol, number of images")


def test_weights_that_were_loaded_under_the_default_name_are_looked_at(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.db", backbones=["vgg16"], methods=["gradcam"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE backbones SET loaded = replace(loaded, 'IMAGENET1K_V1', 'IMAGENET1K_V2')"
        )
    with RunReader(path) as reader:
        found = compare_with_paper(reader)
    assert found.other_weights == (("vgg16", "IMAGENET1K_V2"),)
    assert found.differs_in == ("weights", "number of images")


def test_the_claims_of_the_text_in_the_papers_own_table(usual: RunReader) -> None:
    """By hand: on ResNet-101 Score-CAM, on ResNeXt-101 it and Grad-CAM++ increase more than
    Fake-CAM; Grad-CAM++ has the better deletion on VGG-16, Smooth Grad-CAM++ on ResNet-101, and on
    ResNeXt-101 the better insertion.
    """
    printed = {one.text: (one.printed, one.pairs) for one in compare_with_paper(usual).claims}
    assert list(printed.values()) == [
        (47, 50),
        (25, 25),
        (92, 95),
        (13, 13),
        (6, 6),
        (18, 18),
        (18, 18),
        (18, 18),
    ]


def claims(path: Path, **settings: object) -> dict[str, ClaimHere]:
    make_run(path, backbones=["vgg16"], **settings)  # type: ignore[arg-type]  # keyword bag of a test
    with RunReader(path) as reader:
        return {one.text: one for one in compare_with_paper(reader).claims}


def test_a_claim_holds_where_the_paired_test_separates_its_pairs(tmp_path: Path) -> None:
    found = claims(tmp_path / "a.db", methods=["fakecam", "gradcam", "gradcampp"], images=200)
    fake = found["ADCC puts every true method before Fake-CAM"]
    assert (fake.verdict, fake.holds, fake.unmeasured) == ("yes", 2, 23)
    with RunReader(tmp_path / "a.db") as reader:
        cells = {cell.method: cell.id for cell in reader.cells()}
        drops = reader.averages.paired("average_drop", cells["gradcam"], cells["gradcampp"])
    assert drops is not None
    assert drops.value > 0
    higher = found["Grad-CAM's maps have higher drops"]
    assert (higher.verdict, higher.holds, higher.against) == ("yes", 1, ())
    assert found["Grad-CAM has the best ADCC on the ResNeXts"].verdict == "not measured"


def test_a_claim_that_is_certainly_wrong_names_the_pair(tmp_path: Path) -> None:
    """In the rows of this seeded run Grad-CAM++ increases the confidence more often."""
    found = claims(tmp_path / "a.db", methods=["fakecam", "gradcampp"], images=200)
    fake = found["Fake-CAM beats every true method in average drop and average increase"]
    assert (fake.verdict, fake.holds, fake.fails) == ("in part", 1, 1)
    assert fake.against == ("vgg16: gradcampp beats fakecam in average_increase",)


def test_a_few_images_decide_no_claim(tmp_path: Path) -> None:
    found = claims(tmp_path / "a.db", methods=["fakecam", "gradcam"], images=9)
    fake = found["ADCC puts every true method before Fake-CAM"]
    assert (fake.verdict, fake.undecided) == ("not certain", 1)
