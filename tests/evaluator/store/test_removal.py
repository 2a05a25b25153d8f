"""Taking a backbone or a method out of a run: what goes, what stays, and that the run can go on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from evaluator.errors import NotFound, TryAgain, UsageError
from evaluator.records import Look
from evaluator.store.audit import audit
from evaluator.store.reader import RunReader
from evaluator.store.removal import part_of, remove_part
from evaluator.store.writer import RunWriter
from tests.holder import held
from tests.synthetic import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(
        tmp_path / "val.db",
        backbones=("vgg16", "resnet18", "resnet50"),
        methods=("fakecam", "gradcam"),
        images=12,
    )


def everything(path: Path) -> dict[tuple[str, str], list[object]]:
    with RunReader(path) as reader:
        return {
            (c.backbone, c.method): [row for row, _, _ in reader.rows.of_cell(c.id)]
            for c in reader.cells()
        }


def test_a_backbone_goes_with_its_rows_and_the_others_stay(run: Path) -> None:
    before = everything(run)
    with RunReader(run) as reader:
        part = part_of(reader, backbones=("resnet18",))
    assert (len(part.cells), part.positions) == (2, (1,))
    assert (
        part.rows
        == sum(len(rows) for (backbone, _), rows in before.items() if backbone == "resnet18")
        > 0
    )
    remove_part(run, backbones=("resnet18",))
    after = everything(run)
    assert after == {key: rows for key, rows in before.items() if key[0] != "resnet18"}
    with RunReader(run) as reader:
        assert [spec.name for spec in reader.plan().backbones] == ["vgg16", "resnet50"]
        assert set(reader.backbones()) == {"vgg16", "resnet50"}
        assert audit(reader) == []


def test_a_method_goes_from_every_backbone(run: Path) -> None:
    before = everything(run)
    remove_part(run, methods=("fakecam",))
    assert everything(run) == {key: rows for key, rows in before.items() if key[1] != "fakecam"}
    with RunReader(run) as reader:
        assert reader.plan().methods == ("gradcam",)
        assert audit(reader) == []


def test_what_cannot_go(run: Path) -> None:
    before = everything(run)
    with pytest.raises(NotFound, match="the run has no 'resnet5'") as caught:
        remove_part(run, backbones=("resnet5",))
    assert caught.value.hint.startswith("did you mean 'resnet50'?")
    with pytest.raises(UsageError, match="nothing would be left"):
        remove_part(run, methods=("fakecam", "gradcam"))
    with held(run), pytest.raises(TryAgain):
        remove_part(run, methods=("fakecam",))
    assert everything(run) == before


def test_a_run_that_its_rule_had_ended_is_not_complete_any_more(run: Path) -> None:
    with closing(RunWriter(run)) as writer:
        writer.set_look(Look("ci<=1", images=8, needed=8, decided=8, dropped={}, verdicts=()))
    remove_part(run, methods=("fakecam",))
    with RunReader(run) as reader:
        assert (reader.look(), reader.info().state) == (None, "stopped")
        assert "the rule" in reader.info().message


def test_a_run_without_a_rule_stays_complete(run: Path) -> None:
    remove_part(run, methods=("fakecam",))
    with RunReader(run) as reader:
        assert reader.info().state == "complete"
