"""Looks at a store that fills up out of order: what they decide, what they read."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.execution.looks import Looks
from evaluator.images import find_images
from evaluator.plan import RunPlan
from evaluator.records import Failure, LoadedBackbone, Row, UnitResult
from evaluator.stopping_rule import BURN_IN
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import make_data, make_plan
from tests.fake_session import fake_row, fractions

LOADED = LoadedBackbone("resnet50", "fake", "0" * 64, "layer", 8, 2, 2, True, ())
QUALITY = {"gradcam": 0.3, "gradcampp": 0.32, "layercam": 0.5, "fakecam": 0.0}


@dataclass
class Stored:
    writer: RunWriter
    reader: RunReader
    plan: RunPlan

    def looks(self, **changes: object) -> Looks:
        plan = replace(self.plan, **changes)  # type: ignore[arg-type] # fields
        return Looks(plan, self.reader, images=self.reader.info().image_count)

    def commit(self, image: int, *methods: str) -> None:
        """Rows of an image: all methods that are named, else all."""
        wanted = methods or self.plan.methods
        rows = [
            row(cell.id, cell.method, image)
            for cell in self.reader.cells()
            if cell.method in wanted
        ]
        self.writer.rows.commit(UnitResult(rows=tuple(rows)))

    def cell(self, method: str) -> int:
        return next(cell.id for cell in self.reader.cells() if cell.method == method)


def row(cell: int, method: str, image: int) -> Row:
    """Methods differ by what ``QUALITY`` says and a little noise; images by much."""
    (difficulty,) = fractions(f"image {image}", 1)
    own = fractions(f"{method}/{image}", 3)
    drop, coherency, complexity = (0.4 * difficulty + 0.1 * x for x in own)
    base = fake_row(cell, "resnet50", method, image)
    return base._replace(
        average_drop=drop + QUALITY[method], coherency=1 - coherency, complexity=complexity
    )


@contextmanager
def opened(folder: Path, images: int = 400, **changes: object) -> Iterator[Stored]:
    asked = {
        "methods": ("gradcam", "gradcampp", "layercam"),
        "until": "decided",
        "margin": 0.5,
        **changes,
    }
    plan = make_plan(make_data(folder / "data", images), **asked)
    writer = RunWriter(folder / "run.db")
    writer.begin("run", plan, find_images(Path(plan.data), seed=plan.seed, limit=plan.limit))
    for position in range(len(plan.backbones)):
        writer.cells.set_backbone(position, LOADED)
    with RunReader(folder / "run.db") as reader:
        yield Stored(writer, reader, plan)
    writer.close()


def test_rows_beyond_the_prefix_decide_nothing(tmp_path: Path) -> None:
    """A permutation of the commits, looked at after each, ends as one look at the whole file."""
    with opened(tmp_path) as run:
        looks = run.looks()
        order, newest = list(range(400)), 0
        chance = random.Random(0)
        for image in sorted(
            order, key=lambda i: i + chance.random() * 60
        ):  # workers finish out of order
            run.commit(image)
            newest = max(newest, image)
            looks.advance()
            if looks.decided is not None:
                break
        assert looks.decided is not None
        assert BURN_IN < looks.decided < newest
        again = run.looks()
        assert again.record() == looks.record()
        for image in set(order):
            run.commit(image)
        assert run.looks().record() == looks.record()
        assert looks.record().verdicts == (  # type: ignore[union-attr] # there is a rule
            "resnet50: gradcam is best; layercam, gradcampp: worse",
        )


def test_a_look_waits_for_every_method_and_failures_are_an_answer(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        looks = run.looks()
        for image in range(60):
            run.commit(image, "gradcam", "layercam")
        assert not looks.advance()
        for image in range(60):
            if image != 30:
                run.commit(image, "gradcampp")
        assert not looks.advance()
        run.writer.rows.commit(
            UnitResult(failures=(Failure(run.cell("gradcampp"), 30, "", "bad", ""),))
        )
        assert looks.advance()
        assert looks.images == 60


def test_a_row_is_read_and_verified_once_and_a_commit_costs_one_query(tmp_path: Path) -> None:
    with opened(tmp_path, 600, until="ci<=0.01", margin=None) as run:
        looks = run.looks()
        statements: list[str] = []
        run.reader.connection.set_trace_callback(statements.append)
        read = 0
        components = run.reader.rows.components

        def counted(cells: Sequence[int], first: int, end: int) -> list[tuple[Any, ...]]:
            nonlocal read
            found = components(cells, first, end)
            read += len(found)
            return found

        run.reader.rows.components = counted  # type: ignore[method-assign] # to count
        for first in range(0, 600, 10):
            for image in range(first, first + 10):
                run.commit(image)
            looks.advance()
        assert looks.images == 600
        asked = [text for text in statements if "FROM results" in text]
        verified = [text for text in asked if "checksum" in text]
    assert len(asked) - len(verified) <= 60 * 2
    assert len(verified) == 1 + (600 - BURN_IN) // 10, "the rows of each look once"
    assert read <= 3 * (600 + BURN_IN * 5)


def test_a_method_leaves_the_race_alike_whether_it_is_computed_further_or_not(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as run:
        dropping = run.looks(drop_decided=True)
        for image in range(400):
            run.commit(image, *(m for m in run.plan.methods if run.cell(m) not in dropping.dropped))
            dropping.advance()
            if dropping.decided is not None:
                break
        gone = dropping.dropped
        assert dropping.decided is not None
        assert set(gone) == {run.cell("layercam")}, (
            "the other left at the last look, and is complete"
        )
        assert gone[run.cell("layercam")] < dropping.decided
        keeping = run.looks()
        assert keeping.decided == dropping.decided
        assert keeping.dropped == {}


def test_the_control_is_compared_with_nobody(tmp_path: Path) -> None:
    with opened(tmp_path, methods=("fakecam", "gradcam", "layercam")) as run:
        for image in range(200):
            run.commit(image)
        found = run.looks().record()
    assert found is not None
    assert found.verdicts == ("resnet50: gradcam is best; layercam: worse",)


def test_every_backbone_is_waited_for_but_one_that_cannot_be_loaded(tmp_path: Path) -> None:
    with opened(tmp_path, backbones=(BackboneSpec("resnet50"), BackboneSpec("resnet18"))) as run:
        names = {cell.id: cell.backbone for cell in run.reader.cells()}
        for image in range(400):
            rows = [
                row(c.id, c.method, image) for c in run.reader.cells() if names[c.id] == "resnet50"
            ]
            run.writer.rows.commit(UnitResult(rows=tuple(rows)))
        looks = run.looks()
        assert (looks.images, looks.decided, looks.needed) == (0, None, None)
        looks.leave_out("resnet18")
        assert looks.advance()
        assert looks.decided is not None


def test_without_a_rule_nothing_is_decided(tmp_path: Path) -> None:
    with opened(tmp_path, 60, until=None, margin=None) as run:
        for image in range(60):
            run.commit(image)
        looks = run.looks()
        assert not looks.advance()
        assert (looks.decided, looks.needed, looks.record(), looks.dropped) == (
            None,
            None,
            None,
            {},
        )


@pytest.mark.parametrize(("images", "seen"), [(60, 60), (64, 64)])
def test_the_last_look_is_at_the_last_image(tmp_path: Path, images: int, seen: int) -> None:
    with opened(tmp_path, images, until="ci<=0.01", margin=None) as run:
        for image in range(images):
            run.commit(image)
        looks = run.looks()
        assert (looks.images, looks.decided, looks.needed) == (seen, None, images)
