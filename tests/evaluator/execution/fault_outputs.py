"""The output that a user sees in each fault, with real processes.

``python -m tests.evaluator.execution.fault_outputs`` prints it. Every paragraph is a fault, the
command as typed, and its output word for word. Needs root for the disk that is full.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluator.errors import UsageError
from evaluator.store.files import lock_holder, refuse_network
from tests import bad_images
from tests.evaluator.execution.support import (
    COMMAND,
    ROOT,
    kill,
    make_data,
    wait_until_gone,
    workers_of,
)
from tests.fake_session import DOTTED

Fault = Callable[[Path], None]
_SETTINGS = {"session": DOTTED, "retry_seconds": 0.2, "hang_seconds": 1.0}


def turn(**knobs: object) -> None:
    os.environ["CAMTUI_FAKE"] = json.dumps(knobs)


def show(*words: str, lines: int = 6, only: str = "") -> None:
    """Run a command and print its output: the lines with a word in them, or the last so many."""
    done = subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    output = [line for line in (done.stdout + done.stderr).splitlines() if only in line]
    print(f"$ camtui {' '.join(words)}")
    print("".join(f"{line}\n" for line in output[-lines:]) + f"[exit {done.returncode}]")


def type_quietly(*words: str) -> str:
    """Type a command of which only the consequences are shown."""
    done = subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.stderr


def request(home: Path, *more: str) -> list[str]:
    return [
        "run",
        "--data",
        str(make_data(home / "pictures", 12)),
        "-b",
        "resnet50",
        "-m",
        "gradcam,scorecam",
        *more,
    ]


def database(home: Path) -> Path:
    return home / "runs" / "pictures.db"


@contextmanager
def under_way(home: Path, *more: str) -> Iterator[int]:
    """A run that stays under way; its driver's pid. What is left of it at the end is ended."""
    gate = home / "gate"
    gate.touch()
    turn(gate=str(gate))
    said = type_quietly(*request(home, "-d", *more))
    driver = lock_holder(database(home))
    assert driver is not None, said
    try:
        yield driver
    finally:
        gate.unlink(missing_ok=True)
        type_quietly("stop", "pictures", "--now", "-y")


def the_terminal_is_gone(home: Path) -> None:
    with under_way(home):
        show("status")


def a_worker_is_killed(home: Path) -> None:
    with under_way(home) as driver:
        for worker in workers_of(driver):
            kill(worker)
        (home / "gate").unlink()
        type_quietly("wait")
    show("logs", "--level", "warning")
    show("status", only="restarts")


def a_worker_hangs(home: Path) -> None:
    turn(hangs=[3], kills_method="scorecam")
    show(*request(home), only="warning", lines=1)
    show("errors")


def an_image_kills_its_worker(home: Path) -> None:
    turn(kills=[3], kills_method="scorecam")
    type_quietly(*request(home))
    show("errors")


def the_driver_is_killed(home: Path) -> None:
    with under_way(home) as driver:
        kill(driver)
        wait_until_gone(driver)
        show("status")
        show("resume", "-d")


def the_disk_is_full(home: Path) -> None:
    disk = home / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        turn(seconds=0.1)
        type_quietly(*request(home, "-d", "--db", str(disk / "pictures.db")))
        with open(disk / "filler", "wb", buffering=0) as filler:
            while _written(filler.fileno()):
                pass
        time.sleep(2)
        show("status", str(disk / "pictures.db"))
        (disk / "filler").unlink()
        show("wait", str(disk / "pictures.db"))
        show("logs", str(disk / "pictures.db"), only="pause")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _written(descriptor: int) -> bool:
    try:
        return bool(os.write(descriptor, b"x" * 4096))
    except OSError:
        return False


def files_are_bad(home: Path) -> None:
    os.environ.pop("CAMTUI_DRIVER")
    bad_images.make(home / "corpus")
    (home / "corpus" / "linked").symlink_to("/usr")
    show(
        "run",
        "--data",
        str(home / "corpus"),
        "-b",
        "efficientnet_lite0",
        "-m",
        "fakecam",
        lines=4,
        only="a",
    )
    show("errors", lines=20)


def memory_runs_out(home: Path) -> None:
    bad_images.make_good(home / "photographs", 12)
    for mebibytes, count in ((40, "12"), (0, "1")):
        os.environ["CAMTUI_TEST_MIB"] = str(mebibytes)
        os.environ["CAMTUI_DRIVER"] = json.dumps(
            {"session": "tests.evaluator.execution.small_memory:open_session"}
        )
        what = [
            "--data",
            str(home / "photographs"),
            "-b",
            "efficientnet_lite0",
            "-m",
            "gradcam",
            "-n",
            count,
            "--batch-size",
            "16",
        ]
        type_quietly("run", *what, "--name", f"mib{mebibytes}")
        show("logs", f"mib{mebibytes}", "--level", "warning")
    show("errors")


def a_device_fails(home: Path) -> None:
    turn(sticky=[3], kills_method="scorecam")
    type_quietly(*request(home))
    show("logs", "--level", "warning", lines=2)
    show("errors")


def a_value_is_no_number(home: Path) -> None:
    turn(nan=[2])
    type_quietly(*request(home))
    show("errors")


def the_plan_or_the_data_or_the_weights_are_others(home: Path) -> None:
    type_quietly(*request(home, "-n", "6"))
    show(*request(home, "--seed", "1"))
    turn(weights="other")
    show(*request(home, "-n", "12"))
    turn()
    make_data(home / "pictures", 13)
    show("resume")


def too_many_fail(home: Path) -> None:
    make_data(home / "pictures", 12, bad=6)
    show(*request(home, "--max-failures", "1%"), lines=4)


def a_second_driver(home: Path) -> None:
    with under_way(home):
        show(*request(home))


def weights_are_not_here(home: Path) -> None:
    os.environ.pop("CAMTUI_DRIVER")
    os.environ["TORCH_HOME"] = str(home / "empty")
    show(*request(home))


def workers_cannot_start(home: Path) -> None:
    os.environ["CAMTUI_DRIVER"] = json.dumps(
        {"session": "tests.evaluator.execution.test_faults:die_at_once"}
    )
    show(*request(home))


def a_network_file_system(home: Path) -> None:
    """The check alone, with a table of mounts that names one: there is none here to mount."""
    (home / "mounts").write_text(f"server:/export {home} nfs4 rw 0 0\n")
    try:
        refuse_network(home / "runs" / "pictures.db", home / "mounts")
    except UsageError as error:
        print(
            f"$ camtui run …\nerror: {error.message}\nhint:  {error.hint}\n[exit {error.exit_code}]"
        )


def the_run_is_stopped(home: Path) -> None:
    with under_way(home) as driver:
        os.kill(driver, signal.SIGTERM)
        (home / "gate").unlink()
        show("wait")
        show("status")


FAULTS: tuple[Fault, ...] = (
    the_terminal_is_gone,
    a_worker_is_killed,
    a_worker_hangs,
    an_image_kills_its_worker,
    the_driver_is_killed,
    the_disk_is_full,
    files_are_bad,
    memory_runs_out,
    a_device_fails,
    a_value_is_no_number,
    the_plan_or_the_data_or_the_weights_are_others,
    too_many_fail,
    a_second_driver,
    weights_are_not_here,
    workers_cannot_start,
    a_network_file_system,
    the_run_is_stopped,
)


def main() -> None:
    for fault in FAULTS:
        if sys.argv[1:] and fault.__name__ not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory(prefix="camtui-") as folder:
            os.environ |= {
                "CAMTUI_HOME": folder,
                "PYTHONPATH": str(ROOT),
                "CAMTUI_DRIVER": json.dumps(_SETTINGS),
                "NO_COLOR": "1",
            }
            turn()
            print(f"\n## {fault.__name__.replace('_', ' ')}", flush=True)
            fault(Path(folder))


if __name__ == "__main__":
    main()
