"""A day of trouble in half an hour: a growing run beside watchers, exports and faults.

    python benchmarks/soak.py --data ../shared/imagenet-sample --minutes 30

The run grows from 25 images to all of them, by 25. Meanwhile, drawn by a seed: workers are killed
and stopped, the driver is killed and resumed, the run is stopped and resumed, the data folder is
away for a while, the disk is full for a while (the run's folder is a small file system in memory,
which takes root; left out otherwise), tables and exports are made, one export is not read, a
dashboard watches. Then the same run is computed undisturbed, and both are compared: every row, byte
for byte, and ``camtui doctor``. Exits with 1 where they differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

NAME = "soak"
STEP, BATCH = 25, 1
"""Images by which both runs grow, and of a batch: a confidence depends by some 1e-7 on how many
images are beside it, and after a kill other images are.
"""
METHODS = "gradcam,xgradcam,gradcampp,layercam,eigencam,reciprocam"


class Soak:
    """One run in a home of its own, and what is done to it."""

    def __init__(self, root: Path, data: Path, network: str, images: int) -> None:
        self.home = root / "home"
        self.data = root / "images"
        self.network, self.images = network, images
        shutil.copytree(data, self.data)
        self.home.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "soak", str(self.home)]
        self.small_disk = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode
        self.asked = STEP
        self.done: Counter[str] = Counter()

    def words(self, name: str) -> list[str]:
        """The command that begins the run, or makes it grow."""
        how = ["--data", str(self.data), "-b", self.network, "-m", METHODS, "--metric", "deletion"]
        how += ["--curve-steps", "8", "--batch-size", str(BATCH)]
        return ["run", *how, "-n", str(self.asked), "--name", name]

    def camtui(self, *words: str, check: bool = False) -> subprocess.CompletedProcess[bytes]:
        """A command in the home of the run."""
        command = [sys.executable, "-m", "camtui", *words]
        environment = os.environ | {"CAMTUI_HOME": str(self.home), "TERM": "xterm-256color"}
        return subprocess.run(
            command, env=environment, check=check, capture_output=True, timeout=600
        )

    def state(self) -> str:
        """As ``camtui status`` says it."""
        return str(json.loads(self.camtui("status", NAME, "--json").stdout)["state"])

    def driver(self) -> int | None:
        """The driver's process, if there is one."""
        pid = json.loads(self.camtui("status", NAME, "--json").stdout)["pid"]
        return int(pid) if pid else None

    def go_on(self) -> None:
        """Resume, or grow where all of it is there."""
        state = self.state()
        if state == "complete":
            self.asked = min(self.images, self.asked + STEP)
            self.camtui(*self.words(NAME), "--detach", check=True)
        elif state in ("stopped", "failed", "crashed"):
            self.camtui(*self.words(NAME), "--detach")  # as resume, with the same batches

    # -- what is done to it

    def kill_a_worker(self) -> None:
        """Kill -9 of a process that the driver has started."""
        self._signal_a_child(signal.SIGKILL)

    def halt_a_worker(self) -> None:
        """As a machine that sleeps: stopped for five seconds."""
        if child := self._signal_a_child(signal.SIGSTOP):
            time.sleep(5)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)

    def _signal_a_child(self, number: signal.Signals) -> int | None:
        if not (driver := self.driver()):
            return None
        found = subprocess.run(["pgrep", "-P", str(driver)], check=False, capture_output=True)
        children = [int(word) for word in found.stdout.split()]
        if not children:
            return None
        child = random.choice(children)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)
        return child

    def kill_the_driver(self) -> None:
        """Kill -9 of the driver itself."""
        if driver := self.driver():
            with contextlib.suppress(ProcessLookupError):
                os.kill(driver, signal.SIGKILL)
            time.sleep(1)

    def stop(self) -> None:
        """Stop it as a user does."""
        self.camtui("stop", NAME, *random.choice([(), ("--now",)]), "-y")

    def move_the_data(self) -> None:
        """The folder of images is away for eight seconds."""
        away = self.data.with_name("away")
        self.data.rename(away)
        time.sleep(8)
        away.rename(self.data)

    def fill_the_disk(self) -> None:
        """No byte is free for eight seconds."""
        if not self.small_disk:
            return
        ballast = self.home / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        time.sleep(8)
        ballast.unlink()

    def read(self) -> None:
        """A table and an export of every row."""
        self.camtui("table", NAME)
        self.camtui("export", NAME, "--per-image")

    def leave_an_export_unread(self) -> None:
        """``camtui export | less``, and nobody turns the page for ten seconds."""
        command = [sys.executable, "-m", "camtui", "export", NAME, "--per-image"]
        environment = os.environ | {"CAMTUI_HOME": str(self.home)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as export:
            time.sleep(10)
            export.kill()

    def watch(self) -> None:
        """A dashboard for twelve seconds, with some keys."""
        pid, terminal = pty.fork()
        if not pid:
            os.environ |= {"CAMTUI_HOME": str(self.home), "TERM": "xterm-256color"}
            os.execv(sys.executable, [sys.executable, "-m", "camtui", "watch", NAME])
        os.set_blocking(terminal, False)
        for key in (b"", b"\r", b"\x1b", b"l", b"A", b"\x1b", b"q"):
            end = time.monotonic() + 1.7
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    os.read(terminal, 65536)
                time.sleep(0.05)
            with contextlib.suppress(OSError):
                os.write(terminal, key)
        time.sleep(1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", default="efficientnet_lite0")
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    root = Path(tempfile.mkdtemp(prefix="camtui-soak-"))
    soak = Soak(root, asked.data, asked.network, asked.images)
    try:
        return _soaked(soak, asked.minutes)
    finally:
        soak.camtui("stop", NAME, "--now", "-y")
        if soak.small_disk:
            subprocess.run(["umount", "-l", str(soak.home)], check=False)
        shutil.rmtree(root, ignore_errors=True)


def _soaked(soak: Soak, minutes: float) -> int:
    soak.camtui(*soak.words(NAME), "--detach", check=True)
    troubles: list[Callable[[], None]] = [
        soak.kill_a_worker,
        soak.halt_a_worker,
        soak.kill_the_driver,
        soak.stop,
        soak.move_the_data,
        soak.fill_the_disk,
        soak.read,
        soak.leave_an_export_unread,
        soak.watch,
    ]
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        trouble = random.choice(troubles)
        trouble()
        soak.done[trouble.__name__] += 1
        time.sleep(random.uniform(1, 10))
        soak.go_on()
    print(f"{soak.asked} images asked for by then:", dict(sorted(soak.done.items())), flush=True)
    soak.asked = soak.images
    while soak.state() != "complete":
        if soak.state() not in ("starting", "running", "stopping", "paused"):
            soak.camtui("retry", NAME, "--detach") if soak.state() == "failed" else soak.go_on()
        time.sleep(2)
    soak.camtui(*soak.words(NAME), "-q", "--no-watch")
    soak.camtui("retry", NAME, "-q", "--no-watch")  # what failed while its folder was away
    for images in range(STEP, soak.images + 1, STEP):
        soak.asked = images
        soak.camtui(*soak.words("quiet"), "-q", "--no-watch", check=True)
    exports = [
        soak.camtui("export", name, "--per-image", "-f", "jsonl", check=True).stdout
        for name in (NAME, "quiet")
    ]
    rows = [sorted(text.splitlines()) for text in exports]
    pairs = list(zip(*rows, strict=False))
    same = sum(one == other for one, other in pairs)
    for one, other in [pair for pair in pairs if pair[0] != pair[1]][:20]:
        before, after = json.loads(one), json.loads(other)
        what = {
            key: (before[key], after.get(key)) for key in before if before[key] != after.get(key)
        }
        print(before["image"], before["backbone"], before["method"], what)
    doctor = soak.camtui("doctor", NAME)
    print(f"rows: {len(rows[0])} and {len(rows[1])}, {same} of them the same bytes")
    print(doctor.stdout.decode(), doctor.stderr.decode())
    return int(rows[0] != rows[1] or doctor.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
