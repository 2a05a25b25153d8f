"""The packaged tables are the paper's, and a run beside them is told apart from its protocol."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from camtui.cli.commands.compare import paper_table
from camtui.paper import AgainstPaper, compare_with_paper, table1, table2
from evaluator.errors import NotFound
from evaluator.metrics import all_metrics
from evaluator.statistics import Mean, harmonic_adcc
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

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
def run(tmp_path: Path) -> RunReader:
    return RunReader(
        make_run(tmp_path / "a.db", methods=["fakecam", "gradcam", "xgradcam", "layercam"])
    )


def test_every_number_that_both_have(run: RunReader) -> None:
    rows = compare_with_paper(run).rows
    pairs = {(row.backbone, row.method) for row in rows}
    assert pairs == {
        ("resnet18", "fakecam"),
        ("resnet18", "gradcam"),
        ("vgg16", "fakecam"),
        ("vgg16", "gradcam"),
        ("vgg16", "xgradcam"),
    }
    assert len(rows) == 7 * len(pairs)
    summaries = {s.cell: s.means for s in run.averages.summaries()}
    for cell in run.cells():
        for row in (
            row for row in rows if (row.backbone, row.method) == (cell.backbone, cell.method)
        ):
            assert row.ours == summaries[cell.id][row.metric]
            assert row.theirs == table2()[row.backbone][row.method][row.metric] / 100


def test_one_metric_only(run: RunReader) -> None:
    assert {row.metric for row in compare_with_paper(run, [all_metrics()["adcc"]]).rows} == {"adcc"}


def test_the_only_deviation_of_a_default_run_is_its_images(run: RunReader) -> None:
    assert compare_with_paper(run).deviations == (
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


def test_open_choices_are_those_that_concern_the_run(run: RunReader, tmp_path: Path) -> None:
    choices = " ".join(compare_with_paper(run).open_choices)
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
        (["efficientnet_lite0"], ["gradcam"], "none of this run's backbones"),
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
