"""Backbones and cells: what loading told of them, and taking them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.errors import Mismatch
from evaluator.records import (
    LoadedBackbone,
    Preprocessing,
)
from evaluator.store.reader import RunReader
from tests.evaluator.store.runs import begun, measurement, result, row

LOADED = LoadedBackbone(
    key="resnet18",
    weights="random:0",
    sha256="f" * 64,
    layer="layer4",
    channels=512,
    height=7,
    width=7,
    gap_linear=True,
    classes=("tench",),
    preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
)


def test_a_backbone_must_come_back_as_it_was(path: Path) -> None:
    with begun(path) as writer, RunReader(path) as reader:
        assert reader.backbones() == {"resnet18": None}
        writer.cells.set_backbone(0, LOADED)
        writer.cells.set_backbone(0, LOADED)
        assert reader.backbones() == {"resnet18": LOADED}
        changed = LoadedBackbone(
            **{name: getattr(LOADED, name) for name in LOADED.__slots__} | {"sha256": "e" * 64}
        )
        with pytest.raises(Mismatch, match="resnet18: sha256 is eee"):
            writer.cells.set_backbone(0, changed)


def test_a_cell_with_only_optional_metrics_under_checksum_stays_what_it_is(path: Path) -> None:
    """As in a file of version 1, whose rows have no checksum, that went on with a curve."""
    with begun(path) as writer:
        writer.cells.describe(1, identity="one", applicable=True, note="")
        writer.rows.commit(result(row(1, 0), measurement(1, 0)))
        writer.execute("UPDATE results SET checksum = NULL")
        with pytest.raises(Mismatch, match="gradcam is not what the run's rows were computed with"):
            writer.cells.describe(1, identity="two", applicable=True, note="")
