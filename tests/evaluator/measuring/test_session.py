"""A session on real images with a real network: bad files cost one failure per cell, nothing
depends on how work is cut.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from evaluator.backbones import parse_backbone
from evaluator.errors import RunFailed
from evaluator.execution.request import DriverSettings
from evaluator.images import find_images, planned_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.saliency import upsample
from evaluator.measuring.session import EvaluationSession, open_session
from evaluator.measuring.trial import trial_images
from evaluator.methods import all_methods
from evaluator.methods.base import ImageMethod
from evaluator.networks import batch_size_search
from evaluator.networks.families.synthetic import Synthetic
from evaluator.plan import RunPlan, applicable, validated, validated_plan
from evaluator.records import ImageRef, Precision, Row, StoredMap, Unit
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import Run
from tests.reference import fake_map, rise_blurred
from tests.shared import SAMPLE, needs_sample

METHODS = ("gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "fakecam")


def plan_of(root: Path, **changes: object) -> RunPlan:
    values = {
        "data": str(root),
        "backbones": ("efficientnet_lite0",),
        "methods": METHODS,
        **changes,
    }
    return validated_plan(values)


@pytest.fixture(scope="module")
def session() -> Iterator[EvaluationSession]:
    opened = open_session(SessionSettings(plan_of(SAMPLE), str(SAMPLE)))
    opened.load(0)
    yield opened
    opened.close()


def sample(count: int) -> tuple[ImageRef, ...]:
    return find_images(SAMPLE, seed=0, limit=count).images


def unit(images: tuple[ImageRef, ...], methods: tuple[str, ...] = METHODS) -> Unit:
    return Unit(0, 0, 0, tuple(range(len(methods))), methods, images)


def values(row: Row) -> tuple[float, ...]:
    drop, coherency, adcc = row.average_drop, row.coherency, row.adcc
    return (row.y, row.o, drop or 0.0, coherency or 0.0, row.complexity, adcc or 0.0)


@needs_sample
def test_rows_do_not_depend_on_the_size_of_units_or_batches(session: EvaluationSession) -> None:
    images = sample(6)
    together = {(row.cell, row.image): row for row in session.evaluate(unit(images)).rows}
    small = open_session(SessionSettings(plan_of(SAMPLE), str(SAMPLE), batch_size=3))
    small.load(0)
    for image in reversed(images):
        for row in small.evaluate(unit((image,))).rows:
            assert values(row) == pytest.approx(values(together[row.cell, row.image]), abs=1e-5)
    small.close()


FEW_FORWARDS = tuple(
    key
    for key, kind in all_methods().items()
    if applicable(kind(), gap_linear=True, attention=False)
    and kind().forwards(1280, True) <= 64
    and not issubclass(kind, ImageMethod)  # theirs are rounded: test_image_views
)


@cache
def rows_of_all(
    images: int,
    precision: Precision = "fp32",
    batch_size: int = 16,
    unit_size: int = 16,
    threads: int = 0,
) -> dict[tuple[int, int], Row]:
    """The rows of every method of few forwards on the first images, computed in that way."""
    before = torch.get_num_threads()
    found: dict[tuple[int, int], Row] = {}
    plan = plan_of(SAMPLE, methods=FEW_FORWARDS, precision=precision)
    opened = open_session(
        SessionSettings(plan, str(SAMPLE), batch_size=batch_size, threads=threads or before)
    )
    opened.load(0)
    refs = sample(images)
    for start in range(0, images, unit_size):
        asked = unit(refs[start : start + unit_size], FEW_FORWARDS)
        found |= {(row.cell, row.image): row for row in opened.evaluate(asked).rows}
    opened.close()
    torch.set_num_threads(before)
    return found


def apart(first: Row, second: Row) -> tuple[float, float]:
    """The largest difference of a value, and of a pixel of the map as it is stored."""
    maps = [np.frombuffer(row.map or b"", "<f4") for row in (first, second)]
    differences = [abs(a - b) for a, b in zip(values(first), values(second), strict=True)]
    return max(differences), float(np.abs(maps[0] - maps[1]).max(initial=0.0))


@needs_sample
@pytest.mark.long
@pytest.mark.parametrize(
    "way", [{"batch_size": 1}, {"batch_size": 7, "unit_size": 5}, {"threads": 1}, {"unit_size": 1}]
)
def test_every_methods_rows_in_another_batch_are_as_near_as_the_docs_say(
    way: dict[str, int],
) -> None:
    """docs/gpu.md: within 1e-4, half of the rows within 1e-6; maps within 1e-4."""
    images = 12
    plain, other = rows_of_all(images), rows_of_all(images, **way)
    assert len(FEW_FORWARDS) > 15
    assert plain.keys() == other.keys()
    differences = [apart(plain[key], other[key]) for key in plain]
    assert max(value for value, _ in differences) < 1e-4
    assert np.median([value for value, _ in differences]) < 1e-6
    assert max(pixel for _, pixel in differences) < 1e-4


@needs_sample
@pytest.mark.long
def test_lower_precision_moves_numbers_as_far_as_the_docs_say() -> None:
    """docs/gpu.md: mixed changes only methods that weigh channels by forwards; bf16 all of them."""
    images = 12
    plain = rows_of_all(images)
    assert rows_of_all(images, "mixed") == plain, "none of these weighs channels by forwards"
    lower = rows_of_all(images, "bf16")
    moved = np.array(
        [
            [100 * abs(a - b) for a, b in zip(values(plain[key]), values(lower[key]), strict=True)]
            for key in plain
        ]
    )
    assert np.median(moved, axis=0).max() < 1
    assert 1 < moved.max() < 30
    names = {
        FEW_FORWARDS[cell] for (cell, _), row in zip(plain, moved, strict=True) if max(row) > 1
    }
    assert {"gradcam", "gradcampp", "layercam"} <= names


@needs_sample
def test_a_unit_gives_the_same_bits_again(session: EvaluationSession) -> None:
    assert session.evaluate(unit(sample(3))).rows == session.evaluate(unit(sample(3))).rows


@needs_sample
def test_equal_maps_are_computed_once(session: EvaluationSession) -> None:
    images = sample(4)
    one = session.evaluate(unit(images, ("gradcam",)))
    three = session.evaluate(unit(images, ("gradcam", "xgradcam", "cam")))
    assert one.forwards == three.forwards == 2 * len(images)
    assert {values(row) for row in three.rows} == {values(row) for row in one.rows}


@pytest.fixture
def bad_files(tmp_path: Path) -> Path:
    """One good photograph among files that only look like images."""
    source = next(SAMPLE.glob("*/*.JPEG"))
    shutil.copy(source, tmp_path / "good.jpg")
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(source.read_bytes()[:5000])
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    photograph = Image.open(source).convert("RGB")
    photograph.convert("L").save(tmp_path / "grey.jpg")
    photograph.convert("CMYK").save(tmp_path / "cmyk.jpg")
    photograph.save(tmp_path / "really_a.jpg", format="PNG")
    return tmp_path


EXPECTED = {
    "text.jpg": "not-an-image",
    "empty.jpg": "not-an-image",
    "cut.jpg": "truncated",
    "folder.jpg": "not-a-file",
    "link.jpg": "missing",
}


@needs_sample
def test_bad_files_are_failures_and_their_neighbours_are_whole(bad_files: Path) -> None:
    manifest = find_images(bad_files, seed=0)
    names = {ref.id: ref.path.decode() for ref in manifest.images}
    opened = open_session(SessionSettings(plan_of(bad_files), str(manifest.root)))
    opened.load(0)
    result = opened.evaluate(unit(manifest.images))
    opened.close()
    assert {names[failure.image]: failure.reason for failure in result.failures} == EXPECTED
    assert len(result.failures) == len(EXPECTED) * len(METHODS)
    assert {names[row.image] for row in result.rows} == {
        "good.jpg",
        "grey.jpg",
        "cmyk.jpg",
        "really_a.jpg",
    }


@needs_sample
def test_a_label_target_explains_the_label_and_needs_one() -> None:
    images = sample(4)
    unlabelled = images[2]._replace(label=None)
    stranger = images[3]._replace(label=1000)
    opened = open_session(
        SessionSettings(plan_of(SAMPLE, target="label", methods=("gradcam",)), str(SAMPLE))
    )
    opened.load(0)
    result = opened.evaluate(unit((*images[:2], unlabelled, stranger), ("gradcam",)))
    opened.close()
    assert [row.target for row in result.rows] == [ref.label for ref in images[:2]]
    assert [(failure.image, failure.reason) for failure in result.failures] == [
        (unlabelled.id, "no-label"),
        (stranger.id, "no-label"),
    ]


@needs_sample
def test_an_image_that_changed_under_its_name_is_refused(session: EvaluationSession) -> None:
    image = sample(1)[0]
    result = session.evaluate(unit((image._replace(size=image.size + 1),), ("gradcam",)))
    assert [failure.reason for failure in result.failures] == ["changed"]


@needs_sample
def test_top_1_accuracy_says_that_labels_and_preprocessing_are_right(
    session: EvaluationSession,
) -> None:
    images = sample(64)
    rows = session.evaluate(unit(images, ("fakecam",))).rows
    labels = {ref.id: ref.label for ref in images}
    assert sum(row.predicted == labels[row.image] for row in rows) / len(rows) > 0.8


def test_the_plan_of_the_fixture_is_valid() -> None:
    assert validated(plan_of(SAMPLE)).backbones == (parse_backbone("efficientnet_lite0"),)


def test_a_unit_whose_backbone_is_not_loaded_is_refused(tmp_path: Path) -> None:
    session = open_session(
        SessionSettings(plan_of(tmp_path), str(tmp_path), threads=torch.get_num_threads())
    )
    with pytest.raises(RunFailed, match="network 0 is not loaded"):
        session.evaluate(unit(()))
    versions = session.versions()
    assert versions["torch"] == torch.__version__
    assert versions["device"].startswith("cpu ")
    assert versions["threads"] == str(torch.get_num_threads())
    assert (session.figures().memory_used or 0) > 0
    session.close()


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[ImageRef, ...]:
    """Four plain pictures, without labels."""
    for place in range(4):
        Image.new("RGB", (240, 250), (60 * place, 90, 200 - 40 * place)).save(
            tmp_path / f"{place}.png"
        )
    return find_images(tmp_path, seed=0).images


def small_session(root: Path, **settings: Any) -> EvaluationSession:
    """Two networks with random weights."""
    changes = {
        "backbones": ("resnet18:weights=random:0", "efficientnet_lite0:weights=random:0"),
        "methods": ("gradcam",),
    }
    plan = plan_of(root, **{**changes, **settings.pop("plan", {})})
    return open_session(SessionSettings(plan, str(root), **settings))


class Tight(nn.Module):
    """A trunk for which more than two images are too many."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.trunk(images)  # type: ignore[no-any-return]  # a module's call is Any


def test_what_memory_allows_is_said_once_and_remembered_for_the_next_time(
    pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    session = small_session(tmp_path)
    session.load(0)
    assert session._loaded is not None
    network = session._loaded.network
    network.backbone = replace(network.backbone, trunk=Tight(network.backbone.trunk))
    first, second = (session.evaluate(unit(pictures, ("gradcam",))) for _ in range(2))
    assert first.notes[-1] == "out of memory on cpu: batch size now 2"
    assert second.notes == ()
    assert len(first.rows) == len(second.rows) == 4
    session.load(0)
    assert session._loaded.network is network, "what is loaded is not loaded again"
    session.load(1)
    session.load(0)
    assert session._loaded.network is not network
    assert session._loaded.network.batch_sizes["fp32"] == 2
    session.close()


def test_batch_sizes_are_searched_for_and_written_where_nothing_is_remembered(
    pictures: tuple[ImageRef, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(batch_size_search.SIZES, "cpu", (1, 2))
    tuning = tmp_path / "home" / "batch-sizes.json"
    tuning.parent.mkdir()
    session = small_session(tmp_path, tuning=str(tuning))
    session.load(0)
    assert session._loaded is not None
    assert session._loaded.network.batch_sizes["fp32"] in (1, 2)
    assert "resnet18" in tuning.read_text()
    session.close()


def test_without_any_label_every_image_is_a_failure(
    pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    session = small_session(tmp_path, plan={"target": "label"})
    session.load(0)
    result = session.evaluate(unit(pictures, ("gradcam",)))
    session.close()
    assert result.rows == ()
    assert {failure.reason for failure in result.failures} == {"no-label"}
    assert len(result.failures) == 4


def test_a_network_that_gives_no_numbers_is_not_believed(
    pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    session = small_session(tmp_path)
    session.load(0)
    assert session._loaded is not None
    for parameter in session._loaded.network.backbone.head.parameters():
        parameter.fill_(float("nan"))
    result = session.evaluate(unit(pictures, ("gradcam",)))
    session.close()
    assert result.rows == ()
    assert {(failure.reason, failure.detail) for failure in result.failures} == {
        ("not-finite", "the network's output is not a number")
    }


@pytest.mark.long
def test_what_needs_no_pixels_is_measured_though_the_files_are_gone(
    pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    session = small_session(tmp_path)
    session.load(0)
    cells = unit(pictures, ("gradcam", "fakecam"))
    rows = session.evaluate(cells).rows
    maps = {(row.cell, row.image): StoredMap(row.target, row.y, row.o, row.map) for row in rows}
    asked = replace(cells, metrics=("deletion", "average_gain"), maps=maps)
    both = session.evaluate(asked)
    gains = {
        (one.cell, one.image): one.value
        for one in both.measurements
        if one.metric == "average_gain"
    }
    assert gains == {
        (row.cell, row.image): pytest.approx(max(0, row.o - row.y) / (1 - row.y), abs=1e-12)
        for row in rows
    }
    assert {one.metric for one in both.measurements} == {"deletion", "average_gain"}
    assert [one.curve != b"" for one in both.measurements] == [
        one.metric == "deletion" for one in both.measurements
    ]
    for image in pictures:
        (tmp_path / image.path.decode()).unlink()
    alone = replace(asked, metrics=("average_gain",))
    session.prefetch(alone)
    found = session.evaluate(alone)
    assert {(one.cell, one.image): one.value for one in found.measurements} == gains
    assert (found.failures, found.forwards) == ((), 0)
    gone = session.evaluate(asked)
    assert {failure.metric for failure in gone.failures} == {"deletion"}
    assert {(one.cell, one.image): one.value for one in gone.measurements} == gains
    session.close()


@needs_sample
def test_curves_of_one_map_do_not_depend_on_the_size_of_batches(session: EvaluationSession) -> None:
    images = sample(1)
    (row,) = session.evaluate(unit(images, ("gradcam",))).rows
    asked = replace(
        unit(images, ("gradcam",)),
        metrics=("deletion", "insertion"),
        maps={(0, images[0].id): StoredMap(row.target, row.y, row.o, row.map)},
    )
    found = []
    for batch_size in (1, 16):
        opened = open_session(SessionSettings(plan_of(SAMPLE), str(SAMPLE), batch_size=batch_size))
        opened.load(0)
        found.append({one.metric: one.value for one in opened.evaluate(asked).measurements})
        opened.close()
    assert found[0].keys() == {"deletion", "insertion"}
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def drawn(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Pictures of some width and height: ``0.png`` …"""
    folder.mkdir()
    for place in range(count):
        pixels = trial_images(1, seed=place)[0].clamp(-2, 2).mul(60).add(128).byte()
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize(size).save(folder / f"{place}.png")


@pytest.mark.parametrize(
    ("masking", "removed"), [("normalised", "black"), ("pixels", "blur"), ("pixels", "zero")]
)
def test_what_a_map_removes_from_a_picture(tmp_path: Path, masking: str, removed: str) -> None:
    """Worked out from the bytes of the pictures, by the network alone."""
    drawn(tmp_path / "data", 2, (64, 64))
    plan = plan_of(
        tmp_path / "data",
        backbones=("synthetic_cnn",),
        methods=("layercam", "fakecam"),
        metrics=("deletion",),
        curve_steps=2,
        masking=masking,
        removed=removed,
    )
    model = Synthetic().build(plan.backbones[0]).model.eval()
    images = planned_images(plan).images
    session = open_session(SessionSettings(plan, plan.data))
    seen = session.load(0).preprocessing
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (seen.mean, seen.std))

    def sees(image: Tensor, target: int) -> float:
        with torch.no_grad():
            return float(model(image[None])[0].double().softmax(0)[target])

    rows = session.evaluate(unit(images, plan.methods)).rows
    maps = {(row.cell, row.image): StoredMap(row.target, row.y, row.o, row.map) for row in rows}
    asked = replace(unit(images, plan.methods), metrics=("deletion",), maps=maps)
    areas = {(one.cell, one.image): one.value for one in session.evaluate(asked).measurements}
    session.close()
    assert len(rows) == len(areas) == 4
    for row in rows:
        with Image.open(tmp_path / "data" / f"{images[row.image].path.decode()}") as opened:
            pixels = torch.from_numpy(np.array(opened)).permute(2, 0, 1) / 255
        image = (pixels - mean) / std
        kept = fake_map(64, 64)
        if row.map is not None:
            low = torch.frombuffer(bytearray(row.map), dtype=torch.float32)
            side = int(len(low) ** 0.5)
            kept = upsample(low.view(1, side, side), 64, 64)[0]
        kept = kept.float()
        masked = image * kept if masking == "normalised" else (pixels * kept - mean) / std
        assert row.o == pytest.approx(sees(masked, row.target), abs=1e-5)
        assert row.average_drop == pytest.approx(max(0, row.y - row.o) / row.y, abs=1e-9)
        empty = {
            "zero": torch.zeros_like(image),
            "black": (0 - mean) / std + torch.zeros_like(image),
            "blur": rise_blurred(image),
        }[removed]
        order = kept.double().flatten().argsort(descending=True, stable=True)
        half = image.clone()
        gone = order[: 64 * 64 // 2]
        half.flatten(1)[:, gone] = empty.flatten(1)[:, gone]
        points = [sees(one, row.target) for one in (image, half, empty)]
        assert areas[row.cell, row.image] == pytest.approx(
            points[0] / 4 + points[1] / 2 + points[2] / 4, abs=1e-5
        )


def test_two_workers_trace_the_curves_of_one(tmp_path: Path) -> None:
    """Two processes, one image in a forward, against one session with sixteen: the same maps."""
    drawn(tmp_path / "data", 4, (72, 64))
    metrics = ("deletion", "insertion")
    plan = plan_of(
        tmp_path / "data",
        backbones=("synthetic_cnn",),
        methods=("gradcam", "layercam"),
        metrics=metrics,
        curve_steps=8,
    )
    settings = DriverSettings(devices=("cpu", "cpu"), batch_size=1)
    run = Run(tmp_path / "two.db", plan, settings)
    run.launch()
    assert run.wait(120).state == "complete", run.log()
    with RunReader(run.db) as reader:
        cells = [cell.id for cell in reader.cells()]
        maps = {
            (cell, image.id): StoredMap(row.target, row.y, row.o, row.map)
            for cell in cells
            for row, image, _ in reader.rows.of_cell(cell)
        }
        stored = {(one.cell, one.image, one.metric): one for one in reader.rows.every_measurement()}
        assert len(reader.workers()) == 2
    assert len(stored) == 16
    session = open_session(SessionSettings(plan, str(tmp_path / "data"), batch_size=16))
    session.load(0)
    whole = Unit(0, 0, 0, tuple(cells), plan.methods, planned_images(plan).images, metrics, maps)
    for found in session.evaluate(whole).measurements:
        traced = stored[found.cell, found.image, found.metric]
        assert found.value == pytest.approx(traced.value, abs=1e-6)
    session.close()
