"""A network whose answers change between two commands: the run goes no further, and says so."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from evaluator.errors import Mismatch
from evaluator.execution.schedule import StoredAnswers
from evaluator.execution.worker import AnswerComparison, disagreement, distance
from evaluator.interfaces import SessionSettings
from evaluator.records import ImageRef, Precision, StoredAnswer, Unit
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import complete
from tests.evaluator.store.runs import raw
from tests.fake_session import FakeSession, fake_row

Knobs = Callable[..., None]

IMAGES = [ImageRef(number, b"%d.png" % number, 1, None) for number in range(8)]


def answers(y: float = 0.3, target: int = 1) -> list[StoredAnswer]:
    return [StoredAnswer(image, target, target, y) for image in IMAGES]


def now(*confidences: float) -> dict[int, tuple[float, ...]]:
    return {image.id: confidences for image in IMAGES}


@pytest.mark.parametrize(
    ("y", "told", "precision", "agrees"),
    [
        (0.3, (0.2, 0.3000003, 0.1), "fp32", True),
        (0.3, (0.2, 0.301, 0.1), "fp32", False),
        (0.3, (0.2, 0.301, 0.1), "mixed", False),
        (0.3, (0.2, 0.302, 0.1), "bf16", True),
        (0.3, (0.2, 0.45, 0.1), "bf16", False),
        (0.3, (0.30001, 0.3, 0.1), "fp32", True),  # nearly tied: another class is predicted
        (0.3, (0.4, 0.3, 0.1), "fp32", False),  # as sure, and not the prediction any more
        (1e-9, (1e-12, 1e-9 + 1e-14, 1e-11), "fp32", True),
        (1e-9, (0.9, 1e-9, 0.0), "fp32", False),
        (0.3, (0.3,), "fp32", False),  # fewer classes
        (0.3, (0.2, float("nan"), 0.1), "fp32", False),
    ],
)
def test_answers_agree_within_the_noise_of_their_precision(
    y: float, told: tuple[float, ...], precision: Precision, agrees: bool
) -> None:
    assert (disagreement(answers(y), now(*told), precision) == "") == agrees


def test_both_values_are_named() -> None:
    told = {**now(0.2, 0.3, 0.1), 5: (0.42, 0.1, 0.0)}
    assert disagreement(answers(), told, "fp32") == (
        "image 5 (5.png): y of class 1 is 0.3 in the run, 0.1 now; class 1 was predicted, 0 is now"
    )
    assert disagreement(answers(), now(0.1, 0.2, 0.0), "fp32").endswith(
        "; so do 7 of 7 other images"
    )


def test_images_that_cannot_be_read_say_nothing_of_the_network() -> None:
    assert disagreement(answers(), {}, "fp32") == ""
    assert disagreement(answers(), {3: (0.5, 0.3, 0.0)}, "fp32") != ""


def test_a_distance_is_as_large_near_the_ends_as_between() -> None:
    assert distance(0.5, 0.5) == 0
    assert distance(1 - 1e-5, 1 - 2e-5) == pytest.approx(distance(1e-5, 2e-5))


NET = '''
import json
import pathlib
import torch
from torch import nn


class Net(nn.Module):
    """A setting that is no weight is read from a file."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1))
        self.classes = nn.Linear(16, 5)
        self.settings = json.loads((pathlib.Path(__file__).parent / "settings.json").read_text())

    def forward(self, x):
        scores = self.classes(self.trunk(x).relu().mean((2, 3))) * self.settings.get("scale", 30)
        return scores.flip(1) if self.settings.get("flip") else scores


def build():
    return Net(), {"side": 32, "mean": 0.5, "std": 0.25}
'''


@pytest.mark.long
def test_a_setting_that_a_real_network_reads_is_found_by_its_answers(tmp_path: Path) -> None:
    chance = random.Random(0)
    (tmp_path / "pictures").mkdir()
    for number in range(12):
        Image.frombytes("RGB", (8, 8), chance.randbytes(192)).resize((40, 40)).save(
            tmp_path / f"pictures/{number}.png"
        )
    (tmp_path / "net.py").write_text(NET)
    settings = tmp_path / "settings.json"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "camtui", *words, "-q", "--device", "cpu"]
        environment = {**os.environ, "CAMTUI_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    ask = ("run", "--data", "pictures", "-b", "./net.py:build", "-m")
    settings.write_text("{}")
    first = run(*ask, "gradcam", "--batch-size", "4")
    assert first.returncode == 0, first.stderr
    db = tmp_path / "home" / "runs" / "pictures.db"
    rows = raw(db, "SELECT * FROM results")
    for changed in ({"scale": 30.3}, {"flip": True}):
        settings.write_text(json.dumps(changed))
        refused = run(*ask, "gradcam,gradcampp", "--batch-size", "1")
        assert refused.returncode == 4, refused.stderr
        assert "answers otherwise than when the run's rows were computed: image " in refused.stderr
        assert " in the run, " in refused.stderr
        assert raw(db, "SELECT * FROM results") == rows
    settings.write_text("{}")
    again = run(*ask, "gradcam,gradcampp", "--batch-size", "1")
    assert again.returncode == 0, again.stderr
    assert raw(db, "SELECT count(*) FROM results") == [(24,)]


# -- with drivers
# --------------------------------------------------------------------------------------------------


def test_a_network_that_answers_otherwise_is_refused_and_the_file_is_as_it_was(
    new_run: NewRun, knobs: Knobs
) -> None:
    run = new_run(40, limit=20, methods=("gradcam",))
    knobs(answers="gradcam")
    run.end()
    before = raw(run.db, "SELECT * FROM results"), raw(run.db, "SELECT plan, state FROM run")
    knobs(answers="scorecam")
    for request in (
        {"plan": replace(run.plan, methods=("gradcampp",))},
        {"plan": replace(run.plan, limit=40)},
        {"plan": replace(run.plan, metrics=(*run.plan.metrics, "deletion"))},
    ):
        with pytest.raises(Mismatch, match="resnet50 answers otherwise than when the run") as error:
            run.launch(**request)
        assert error.value.exit_code == 4
        assert "in the run, " in error.value.message
        assert " now" in error.value.message
        assert (
            raw(run.db, "SELECT * FROM results"),
            raw(run.db, "SELECT plan, state FROM run"),
        ) == (before)
    knobs(answers="gradcam")
    complete(run, plan=replace(run.plan, limit=40))


def test_damaged_rows_and_changed_files_are_not_compared(new_run: NewRun, knobs: Knobs) -> None:
    run = new_run(20, methods=("gradcam",))
    knobs(contents=True)
    run.end()
    raw(run.db, "UPDATE results SET y = 0.5 WHERE image_id = 0")
    with RunReader(run.db) as reader:
        found = StoredAnswers(reader).of(0, [1])
    assert len(found) == 8
    assert [answer.image.id for answer in found][:4] == [1, 2, 3, 4] or found[0].image.id != 0
    assert all(
        answer.y == fake_row(1, "resnet50", "gradcam", answer.image.id).y for answer in found
    )
    assert all(answer.image.content for answer in found)


def test_a_backbone_that_is_loaded_again_is_compared_again(new_run: NewRun) -> None:
    run = new_run(3, methods=("gradcam",))
    session = FakeSession(SessionSettings(run.plan, run.plan.data), {"answers": "gradcam"})
    session.load(0)
    rows = [fake_row(1, "resnet50", "gradcam", image) for image in range(3)]
    stored = tuple(
        StoredAnswer(IMAGES[row.image], row.target, row.predicted, row.y) for row in rows
    )
    unit = Unit(1, 1, 0, (1,), ("gradcam",), (), answers=(*stored, *stored))
    comparison = AnswerComparison("fp32")
    assert comparison.compare(unit, session, loaded=True) == ""
    other = replace(unit, answers=(stored[0]._replace(y=0.5), *stored[1:]))
    assert comparison.compare(other, session, loaded=False) == "", "once is enough"
    assert "0.5 in the run" in comparison.compare(other, session, loaded=True)


def test_a_backbone_is_compared_as_soon_as_an_image_can_be_read(
    new_run: NewRun, knobs: Knobs, tmp_path: Path
) -> None:
    """At the load no file can be read; the network that answers otherwise is found all the same."""
    run = new_run(40, limit=20, methods=("gradcam",))
    knobs(answers="gradcam")
    run.end()
    count = run.count_rows()
    knobs(answers="scorecam", unread=1)
    status = run.end(plan=replace(run.plan, limit=40))
    assert (status.state, status.exit_code) == ("failed", 4)
    assert "resnet50 answers otherwise than when the run's rows were computed" in status.message
    assert run.count_rows() <= count + 16, "no more than the unit that was under way"
