"""Runs on Ray, with real drivers, real nodes and real signals: nothing lost, nothing doubled,
nobody left behind.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.execution import ray_cluster
from evaluator.execution.request import RaySettings
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.ray_nodes import Nodes
from tests.evaluator.execution.support import Run, camtui, check, each_row, kill, maps_for
from tests.shared import SAMPLE, needs_sample

pytestmark = pytest.mark.ray

KILLS = 20
Knobs = Callable[..., None]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cluster of one node with one CPU; tests add others."""
    found = Nodes()
    yield found
    found.end()


def on(run: Run, address: str = "", workers: int | None = None) -> Run:
    run.settings = replace(run.settings, ray=RaySettings(address, workers))
    return run


def slow(run: Run, **knobs: Any) -> Run:
    """The knobs of the fake evaluator, where the workers of a Ray that runs already see them."""
    import json

    (Path(run.plan.data) / "fake.json").write_text(json.dumps(knobs))
    return run


def workers_of(run: Run) -> list[tuple[int, str, int, str]]:
    """(id, device, pid, state) of every worker, as the driver last said."""
    with RunReader(run.db) as reader:
        return [(worker.id, worker.device, worker.pid, worker.state) for worker in reader.workers()]


def homes() -> set[Path]:
    """The folders of private Rays."""
    return set(ray_cluster.TEMP.glob(f"{ray_cluster.PREFIX}*"))


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.05)


def gone(pids: list[int]) -> bool:
    """A process that has ended and waits to be collected is gone."""
    return all(b") Z " in (told(pid, "stat") or b") Z ") for pid in pids)


def told(pid: int, file: str) -> bytes:
    """A file of a process in ``/proc``; empty where it is gone, also between open and read."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_agent(pid: int) -> bool:
    """Ray's two agents of a node hold no work and notice the end of their node late, or never."""
    return b"Agent" in told(pid, "cmdline")[:40]


def complete(run: Run, seconds: float = 120.0) -> None:
    status = run.wait(seconds)
    assert status.state == "complete", run.log()
    check(run)
    assert status.failures == 0


def listening() -> Iterator[tuple[str, str]]:
    """(address, inode) of every listening TCP socket of this machine."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                yield fields[1].rpartition(":")[0], fields[9]


def sockets_of(pids: set[int]) -> set[str]:
    found = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(link)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def test_a_ray_of_our_own_listens_on_loopback_alone_and_is_gone_afterwards(new_run: NewRun) -> None:
    before = homes()
    run = slow(on(new_run(40), workers=2), seconds=0.2)
    driver = run.launch().pid
    (home,) = homes() - before
    processes = ray_cluster._processes(home) | {driver}
    names = b" ".join(told(pid, "cmdline") for pid in processes)
    assert all(name in names for name in (b"gcs_server", b"raylet", b"ray::RayWorker"))
    ours = sockets_of(processes)
    addresses = {address for address, inode in listening() if inode in ours}
    assert addresses
    assert addresses <= {
        "0100007F",
        "0000000000000000FFFF00000100007F",
        "00000000000000000000000001000000",
    }
    assert (home / "token").stat().st_mode & 0o77 == 0
    assert home.stat().st_mode & 0o77 == 0
    complete(run)
    assert gone(sorted(processes - {driver}))
    assert homes() <= before


def test_a_killed_driver_takes_its_ray_along_and_the_next_start_removes_what_lies_about(
    new_run: NewRun,
) -> None:
    before = homes()
    run = slow(on(new_run(40), workers=2), seconds=0.2)
    driver = run.launch().pid
    run.wait_for_rows(30)
    (home,) = homes() - before
    processes = sorted(ray_cluster._processes(home))
    computing = [pid for pid in processes if pid != driver and not is_agent(pid)]
    assert len(computing) >= 4, "gcs_server, raylet and two actors"
    kill(driver)
    wait_for(lambda: gone(computing))
    assert home.exists()
    run.launch()
    assert not home.exists()
    assert gone(processes)
    complete(run)
    assert homes() <= before


def test_what_a_killed_driver_left_running_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "TEMP", tmp_path)
    left, held = tmp_path / f"{ray_cluster.PREFIX}left", tmp_path / f"{ray_cluster.PREFIX}held"
    left.mkdir()
    held.mkdir()
    for home in (left, held):
        (home / "token").touch()
    lock = ray_cluster._locked(held, wait=False)
    with (left / "log").open("w") as log:
        orphans = [
            subprocess.Popen(["sleep", "600"], stdout=log),
            subprocess.Popen(["tail", "-f", f"{left}/log"]),
        ]
    ray_cluster.sweep()
    assert [orphan.wait(10) for orphan in orphans] == [-9, -9]
    assert (left.exists(), held.exists()) == (False, True)
    assert lock is not None
    os.close(lock)


def test_twenty_actors_are_killed(nodes: Nodes, new_run: NewRun) -> None:
    run = slow(on(new_run(400), nodes.address, workers=3), seconds=0.1)
    run.launch()
    killed: set[int] = set()
    chance = random.Random(0)
    limit = time.monotonic() + 150
    while len(killed) < KILLS:
        assert time.monotonic() < limit, run.log()
        time.sleep(chance.uniform(0.1, 0.5))
        victims = [
            pid
            for _, _, pid, state in workers_of(run)
            if state == "computing" and pid not in killed
        ]
        if victims:
            killed.add(chance.choice(victims))
            kill(max(killed, key=lambda pid: pid in victims))
    slow(run)
    complete(run)
    assert sum("restarted" in event for event in run.events()) >= KILLS


def test_a_node_is_killed_in_the_middle(nodes: Nodes, new_run: NewRun) -> None:
    second = nodes.add()
    run = slow(on(new_run(200), nodes.address), seconds=0.05)
    run.launch()
    run.wait_for_rows(100)
    assert len(workers_of(run)) == 2
    nodes.kill(second)
    complete(run)
    assert any("died" in event for event in run.events()), run.events()


def test_a_node_that_cannot_see_the_images_is_left_out(nodes: Nodes, new_run: NewRun) -> None:
    run = slow(on(new_run(60), nodes.address), seconds=0.05)
    blind = nodes.add(before=f"mount -t tmpfs none {run.plan.data}")
    try:
        run.launch()
        complete(run)
    finally:
        nodes.kill(blind)
    (said,) = [event for event in run.events() if "left out" in event]
    assert f"cannot see {run.plan.data}/img" in said
    assert "No such file" in said
    assert sorted(state for _, _, _, state in workers_of(run)) == ["ended", "ended"]


def test_a_driver_that_is_killed_takes_its_actors_from_a_cluster(
    nodes: Nodes, new_run: NewRun
) -> None:
    second = nodes.add()
    run = slow(on(new_run(300), nodes.address, workers=2), seconds=0.1)

    def actors() -> list[int]:
        return [pid for _, device, pid, _ in workers_of(run) if device.endswith(":cpu")]

    driver = run.launch().pid
    run.wait_for_rows(30)
    wait_for(lambda: len(actors()) == 2)
    pids = actors()
    kill(driver)
    wait_for(lambda: gone(pids))
    slow(run)
    run.launch()
    complete(run)
    nodes.kill(second)


def test_no_cluster_at_the_address(new_run: NewRun) -> None:
    run = on(new_run(4), "127.0.0.1:9")
    found = camtui(
        "run",
        "--data",
        run.plan.data,
        "-b",
        "resnet50",
        "-m",
        "gradcam",
        "--executor",
        "ray",
        "--ray-address",
        "127.0.0.1:9",
        "--db",
        str(run.db),
        "--device",
        "cpu",
    )
    assert found.returncode == 3
    assert "cannot join a Ray cluster at 127.0.0.1:9" in found.stderr
    assert not run.db.exists()


def test_a_ray_that_does_not_come_up_is_tried_twice_and_leaves_nothing(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = homes()
    monkeypatch.setenv(
        "RAY_gcs_server_port_wait_time_s", "0"
    )  # Ray's own: it gives its server no time at all
    run = new_run(4)
    found = camtui(
        "run",
        "--data",
        run.plan.data,
        "-b",
        "resnet50",
        "-m",
        "gradcam",
        "--executor",
        "ray",
        "--db",
        str(run.db),
        "--device",
        "cpu",
        "--foreground",
    )
    assert found.returncode == 1, found.stderr
    assert "error: Ray does not start: " in found.stderr
    assert "hint:  camtui run without --executor ray" in found.stderr
    assert found.stderr.count("Ray did not start, once more") == 1
    assert not run.db.exists()
    assert homes() <= before


@needs_sample
def test_rows_are_those_of_a_local_run(tmp_path: Path) -> None:
    cams = "gradcam,gradcampp,smoothgradcampp,layercam"
    same_on_ray(
        tmp_path, 6 * 4, "--data", str(SAMPLE), "-b", "efficientnet_lite0", "-m", cams, "-n", "6"
    )


def test_image_methods_maps_and_classes_of_other_libraries_are_those_of_a_local_run(
    tmp_path: Path,
) -> None:
    pytest.importorskip("captum")
    images = tmp_path / "shapes" / "images"
    assert camtui("synth", str(tmp_path / "shapes"), "--images", "6").returncode == 0
    maps = maps_for(images, tmp_path / "maps")
    methods = f"gradcam,smoothgrad:n=3,rise:n=20,maps:{maps},captum.attr:GradientShap"
    same_on_ray(tmp_path, 6 * 5, "--data", str(images), "-b", "synthetic_cnn", "-m", methods)


def same_on_ray(folder: Path, rows: int, *what: str) -> None:
    """A run and its copy on a Ray of its own export the same bytes, and have the same maps."""
    runs = []
    for name, options in (("local", []), ("ray", ["--executor", "ray"])):
        db = folder / f"{name}.db"
        done = camtui("run", *what, "--db", str(db), "--device", "cpu", "-q", *options, timeout=600)
        assert done.returncode == 0, done.stderr
        exported = camtui("export", str(db), "--per-image", "-f", "jsonl")
        runs.append(sorted(exported.stdout.splitlines()))
        assert exported.returncode == 0, exported.stderr
    assert len(runs[0]) == rows
    assert runs[0] == runs[1]
    local, on_ray = (
        Run(folder / name, None)  # type: ignore[arg-type]  # the plan is not looked at
        for name in ("local.db", "ray.db")
    )
    assert list(each_row(local)) == list(each_row(on_ray))
    stored = []
    for run in (local, on_ray):
        with RunReader(run.db) as reader:
            stored.append(sorted(reader.rows.every_row()))
    assert stored[0] == stored[1]
