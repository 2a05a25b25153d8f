"""The stages of a run: their order, titles and ids, blocks and cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.execution.stages import block_size, plan_stages, with_timings
from evaluator.plan import RunPlan
from evaluator.records import Cell, Stage
from tests.evaluator.execution.support import make_data, make_plan


def cells_of(plan: RunPlan) -> list[Cell]:
    pairs = [(spec.name, method) for spec in plan.backbones for method in plan.methods]
    return [Cell(n, backbone, method, True, "") for n, (backbone, method) in enumerate(pairs, 1)]


@pytest.mark.parametrize(
    ("forwards", "curves", "cuda", "size"),
    [
        (7, False, False, 16),
        (4097, False, False, 1),
        (54, True, False, 4),
        (270, True, False, 1),
        (16, False, False, 16),
        (16.1, False, False, 8),
        (1, True, False, 4),
        (64, True, False, 4),
        (64.1, True, False, 2),
        (256, False, True, 256),
        (256.1, False, True, 128),
        (1, True, True, 64),
        (1, False, True, 256),
        (1024.1, True, True, 32),
        (7, False, True, 256),
        (4097, False, True, 8),
        (540, True, True, 64),
    ],
)
def test_the_size_of_a_block(forwards: float, curves: bool, cuda: bool, size: int) -> None:
    assert block_size(forwards, curves=curves, cuda=cuda) == size


def test_stages_keep_their_ids_when_cells_turn_out_not_to_apply(tmp_path: Path) -> None:
    plan = make_plan(
        make_data(tmp_path / "data", 1), methods=("cam", "scorecam"), metrics=("insertion",)
    )
    cells = [Cell(1, "resnet50", "cam", True, ""), Cell(2, "resnet50", "scorecam", True, "")]
    before = plan_stages(plan, cells, {}, cuda=False)
    after = plan_stages(plan, [replace(cells[0], applicable=False), cells[1]], {}, cuda=False)
    assert [stage.id for stage in before] == [stage.id for stage in after] == [1, 2, 3, 4]
    assert after[0].cells == ()
    assert [stage.base for stage in after] == [None, 1, None, 3]


def test_what_a_stage_costs_is_what_its_cells_cost(tmp_path: Path) -> None:
    """A clean pass, the masked pass of each distinct map, and for Score-CAM every channel of
    ResNet-50 twice.
    """
    data = make_data(tmp_path / "data", 1)
    plan = make_plan(
        data,
        methods=("gradcam", "xgradcam", "gradcampp", "scorecam"),
        metrics=("deletion", "insertion"),
    )
    cheap, curves, costly, its_curves = plan_stages(plan, cells_of(plan), {}, cuda=False)
    assert cheap.forwards_per_image == 1 + 1 + 1, "XGrad-CAM is Grad-CAM on this head"
    assert costly.forwards_per_image == 1 + 1 + 2 * 2048
    assert curves.forwards_per_image == (28 - 1) * 2 * 3
    assert its_curves.forwards_per_image == (28 - 1) * 2
    assert [stage.block for stage in (cheap, curves, costly, its_curves)] == [16, 1, 1, 4]


def test_blocks_of_rows_and_of_their_curves_are_cut_by_rules_of_their_own(tmp_path: Path) -> None:
    plan = make_plan(
        make_data(tmp_path / "data", 1), methods=("gradcam",), metrics=("insertion",), curve_steps=4
    )
    rows, curves = plan_stages(plan, cells_of(plan), {}, cuda=False)
    assert (rows.forwards_per_image, rows.block) == (2, 16)
    assert (curves.forwards_per_image, curves.block) == (3, 4)


def test_what_is_computed_from_rows_alone_costs_no_forward_and_has_blocks_like_rows(
    tmp_path: Path,
) -> None:
    plan = make_plan(
        make_data(tmp_path / "data", 1), methods=("gradcam",), metrics=("average_gain",)
    )
    _, gain = plan_stages(plan, cells_of(plan), {}, cuda=False)
    assert (gain.title, gain.metrics, gain.base) == (
        "resnet50 · Grad-CAM · Average Gain",
        ("average_gain",),
        1,
    )
    assert (gain.forwards_per_image, gain.block) == (0, 16)


def test_forwards_of_metrics_that_ask_the_network_again(tmp_path: Path) -> None:
    """ROAD shows each map's image eight times; another class costs a clean pass for all, and what
    its own maps cost.
    """
    data = make_data(tmp_path / "data", 1)
    plan = make_plan(
        data, methods=("gradcam", "scorecam"), metrics=("arcc", "class_sensitivity", "sparseness")
    )
    _, cheap, _, costly = plan_stages(plan, cells_of(plan), {}, cuda=False)
    assert cheap.metrics == ("arcc", "class_sensitivity", "road", "sparseness")
    assert cheap.title == "resnet50 · Grad-CAM · 4 metrics"
    assert cheap.forwards_per_image == 8 + 1 + 0
    assert costly.forwards_per_image == 8 + 1 + 2048


def test_cheaper_networks_come_first_and_stay_there_when_their_cells_turn_out_not_to_apply(
    tmp_path: Path,
) -> None:
    """Score-CAM forwards once for each channel: 2048 of ResNet-50, 512 of VGG-16."""
    data = make_data(tmp_path / "data", 1)
    plan = make_plan(
        data,
        backbones=(BackboneSpec("resnet50"), BackboneSpec("vgg16")),
        methods=("scorecam", "fakecam"),
    )
    cells = cells_of(plan)
    costly = [
        stage.backbone
        for stage in plan_stages(plan, cells, {}, cuda=False)
        if "scorecam" in stage.methods
    ]
    assert costly == [1, 0]
    after = [replace(cell, applicable=cell.backbone != "vgg16") for cell in cells]
    assert [stage.id for stage in plan_stages(plan, after, {}, cuda=False)] == [1, 2, 3, 4]
    assert [stage.backbone for stage in plan_stages(plan, after, {}, cuda=False)][2:] == [1, 0]


def test_without_curves_stages_are_numbered_without_gaps(tmp_path: Path) -> None:
    plan = make_plan(make_data(tmp_path / "data", 1), methods=("gradcam", "scorecam", "iscam"))
    assert [stage.id for stage in plan_stages(plan, cells_of(plan), {}, cuda=False)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("methods", "title"),
    [
        (("gradcam", "gradcampp", "layercam"), "resnet50 · Grad-CAM, Grad-CAM++, LayerCAM"),
        (("gradcam", "finercam", "finercam:n=1"), "resnet50 · Grad-CAM, Finer-CAM, Finer-CAM n=1"),
        (("gradcam", "gradcampp", "layercam", "fakecam"), "resnet50 · 4 methods"),
    ],
)
def test_up_to_three_methods_are_named(
    tmp_path: Path, methods: tuple[str, ...], title: str
) -> None:
    plan = make_plan(make_data(tmp_path / "data", 1), methods=methods, metrics=("deletion",))
    rows, curves = plan_stages(plan, cells_of(plan), {}, cuda=False)
    assert (rows.title, curves.title) == (title, f"{title} · Deletion")


def test_a_stage_is_stored_with_nothing_done(tmp_path: Path) -> None:
    plan = make_plan(make_data(tmp_path / "data", 1), methods=("gradcam",))
    (stage,) = plan_stages(plan, cells_of(plan), {}, cuda=False)
    assert stage.record(7) == Stage(
        1, "resnet50 · Grad-CAM", "resnet50", (1,), (), 7, 0, 0.0, 0, stage.forwards_per_image
    )


def test_what_was_measured_of_a_stage_that_is_done_stays(tmp_path: Path) -> None:
    plan = make_plan(make_data(tmp_path / "data", 1))
    cells = [
        Cell(number, "resnet50", method, True, "") for number, method in enumerate(plan.methods, 1)
    ]
    now = [stage.record(8) for stage in plan_stages(plan, cells, {}, cuda=False)]
    before = [
        replace(now[0], done=8, seconds=2.0, timed_images=8),
        replace(now[1], done=7, seconds=9.0, timed_images=7),
    ]
    cheap, costly = with_timings(now, before)
    assert (cheap.seconds, cheap.timed_images) == (2.0, 8)
    assert (costly.seconds, costly.timed_images) == (0.0, 0), (
        "it goes on, perhaps on another device"
    )
    extended = [replace(now[0], cells=(*now[0].cells, 9)), now[1]]
    assert with_timings(extended, before)[0].timed_images == 0


def test_an_image_method_is_a_stage_of_its_own_and_shrinks_no_other(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 1)
    cams = make_plan(data, methods=("gradcam", "layercam"))
    both = make_plan(data, methods=("gradcam", "layercam", "ig", "saliency"))
    (alone,) = plan_stages(cams, cells_of(cams), {}, cuda=False)
    shared, cheap, dear = plan_stages(both, cells_of(both), {}, cuda=False)
    assert (shared.methods, shared.block) == (alone.methods, alone.block)
    assert shared.forwards_per_image == alone.forwards_per_image
    assert (cheap.methods, cheap.forwards_per_image, cheap.block) == (("saliency",), 8, 16)
    assert (dear.methods, dear.forwards_per_image, dear.block) == (("ig",), 302, 1)
