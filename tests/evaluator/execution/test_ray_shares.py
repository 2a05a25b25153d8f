"""Workers for the nodes of a cluster, and the absence of Ray, which is not needed here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from camtui.compute import ComputeOptions, compute_settings
from evaluator.errors import UsageError
from evaluator.execution.ray_actor import RayWorker, sample_of
from evaluator.execution.ray_cluster import NodeRoom, Share, share_out
from evaluator.execution.request import DriverSettings, RaySettings, RunRequest
from evaluator.images import find_images
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import ROOT, complete

NO_RAY = "import sys; sys.modules['ray'] = None; "


def test_one_worker_on_each_gpu_or_on_each_node() -> None:
    boxes = [NodeRoom(64, 8), NodeRoom(64, 8), NodeRoom(4, 0)]
    assert share_out(boxes, None, 1.0) == Share(16, 1.0, 1.0, 8.0)
    assert share_out(boxes, None, 0.5) == Share(32, 1.0, 0.5, 4.0)
    assert share_out(boxes, 3, 2.0) == Share(3, 1.0, 2.0, 16.0)
    assert share_out(boxes, None, 0.0) == Share(3, 4.0, 0.0, 4.0)
    assert share_out([NodeRoom(2, 0)], 16, 0.0) == Share(16, 0.12, 0.0, 0.12)


@pytest.mark.parametrize(
    ("gpus", "workers"),
    [(0.3, 24), (0.4, 16), (0.5, 16), (0.34, 16), (1.0, 8), (3.0, 2), (0.1, 80)],
)
def test_a_share_of_a_gpu_is_of_one_gpu(gpus: float, workers: int) -> None:
    assert share_out([NodeRoom(64, 8)], None, gpus).workers == workers


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus"),
    [([NodeRoom(8, 0)], None, 1.0), ([NodeRoom(8, 2)], 3, 1.0), ([], None, 0.0)],
)
def test_no_room(nodes: list[NodeRoom], workers: int | None, gpus: float) -> None:
    with pytest.raises(UsageError):
        share_out(nodes, workers, gpus)


def test_ray_is_not_imported_without_the_option() -> None:
    executors = (
        "evaluator.execution.driver, evaluator.execution.ray_executor, evaluator.execution.worker"
    )
    modules = f"{executors}, camtui.cli.app, camtui.cli.commands.run"
    code = f"import sys, {modules}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_local_run_does_not_touch_ray(
    tmp_path: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ray.py").write_text("raise SystemExit('Ray was imported')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    run = new_run(4)
    complete(run)


def test_ray_is_absent(tmp_path: Path) -> None:
    code = f"{NO_RAY}from camtui.cli import main; main()"
    what = ["run", "--data", str(tmp_path), "-b", "resnet50", "-m", "gradcam", "--executor", "ray"]
    found = subprocess.run(
        [sys.executable, "-c", code, *what], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    first, hint = found.stderr.splitlines()
    assert first.endswith("--executor ray needs Ray, which is not installed")
    assert hint.endswith('pip install "camtui[ray]"')


@pytest.mark.parametrize(
    "options",
    [
        ComputeOptions(executor="slurm"),
        ComputeOptions(executor="local", ray_address="auto"),
        ComputeOptions(executor="local", gpus_per_worker=0.5),
        ComputeOptions(executor="ray", gpus_per_worker=-1.0),
        ComputeOptions(executor="ray", gpus_per_worker=1.5),
    ],
)
def test_options_that_make_no_sense(
    options: ComputeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.execution.ray_cluster.require_ray", lambda: None)
    with pytest.raises(UsageError):
        compute_settings(options)


def test_options_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.execution.ray_cluster.require_ray", lambda: None)
    assert compute_settings(ComputeOptions("cpu", 3, "ray")) == (("cpu",), RaySettings("", 3, 1.0))
    assert compute_settings(ComputeOptions(None, None, "ray", "auto", 0.5)) == (
        ("cuda",),
        RaySettings("auto", None, 0.5),
    )
    assert compute_settings(ComputeOptions(None, None, "ray", "auto", 0.0)) == (
        ("cpu",),
        RaySettings("auto", None, 0.0),
    )
    with pytest.raises(UsageError):
        compute_settings(ComputeOptions("cuda:1", None, "ray"))


def test_a_request_for_ray_travels(tmp_path: Path) -> None:
    request = RunRequest(
        tmp_path / "r.db", "r", None, DriverSettings(ray=RaySettings("auto", 3, 0.5))
    )
    assert RunRequest.from_json(request.to_json()) == request


def test_a_node_says_which_path_it_cannot_see(new_run: NewRun) -> None:
    from evaluator.interfaces import SessionSettings

    run = new_run(4)
    data = Path(run.plan.data)
    sample = sample_of(data, find_images(data, seed=0).images)
    assert len(sample) == 4
    worker = RayWorker(1, SessionSettings(run.plan, str(data)), run.settings.session, sample)
    assert worker._unseen() == ""
    path = data / sample[1].path.decode()
    path.write_bytes(b"another file")
    assert f"cannot see {path}: 12 bytes, the manifest has {sample[1].size}" in worker._unseen()
    path.unlink()
    assert f"cannot see {path}: No such file or directory" in worker._unseen()
