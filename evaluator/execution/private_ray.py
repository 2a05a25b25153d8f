"""A private Ray: started for one driver, on one machine, and removed with it.

It listens on the loopback interface only, asks for a token that nobody else can read, has no
dashboard and sends no statistics. Everything it writes lies in one folder, whose lock this process
holds. A folder whose lock is free was left by a killed driver; the next start removes it, and ends
the processes that still run in it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from evaluator.errors import CamtuiError, RunFailed
from evaluator.execution.ray_connection import QUIET, connect_to, disconnect
from evaluator.execution.run_log import LOGGER
from evaluator.text import printable

TEMP = Path("/tmp")
"""Not ``$TMPDIR``: Ray's sockets lie deep below it, and the path of a socket has at most 107
characters.
"""

PREFIX = "camtui-ray-"

_PRIVATE = {
    # Ray's switch for one machine only: every server binds to the loopback address
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_enable_metrics_collection": "0",
}

_LONGER_TIMEOUTS = {
    "RAY_gcs_server_port_wait_time_s": "60",
    "RAY_agent_register_timeout_ms": "60000",
}
"""Timeouts of Ray for its own processes, unless the user has set them.

Its 30 and 15 s are too short on a busy machine.
"""

_MEMORY = 80 * 2**20
"""Bytes of Ray's object store, the least that Ray takes: results are returned inline and never lie
in it.
"""

_END_SECONDS = 10.0
_START_TRIES = 2
"""Ray gives its raylet 30 s, whatever it is told, and that is not always enough on a machine that
is busy.
"""


def start_private_ray(*, cuda: bool) -> Callable[[], None]:
    """Start a private Ray on this machine alone.

    Returns:
        A function that ends it, and returns when none of its processes is left.

    Raises:
        RunFailed: it does not come up.
    """
    sweep()
    token = secrets.token_hex(32)  # one for all tries: Ray reads it once in the life of a process
    for last in (*[False] * (_START_TRIES - 1), True):
        home = _RayFolder(token)
        try:
            connect_to(
                _temp_dir=str(home.path / "r"),
                include_dashboard=False,
                object_store_memory=_MEMORY,
                num_cpus=len(os.sched_getaffinity(0)),
                num_gpus=None if cuda else 0,
            )
        except CamtuiError:
            home.remove()
            raise
        # Ray raises bare exceptions where its processes do not come up in time
        except Exception as error:
            home.remove()
            if last:
                raise RunFailed(
                    f"Ray does not start: {printable(error, 300)}",
                    "camtui run without --executor ray",
                ) from error
            LOGGER.warning(f"Ray did not start, once more: {printable(error, 300)}")
        else:
            return home.leave
    raise AssertionError("unreachable")


class _RayFolder:
    """The folder of a private Ray: its token, sockets and logs, and the lock of its driver.

    Ray lets every user of the machine into the folder of its sockets; so that one lies within
    another, which this user alone may enter.
    """

    def __init__(self, token: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=TEMP))
        self._lock = _locked(self.path, wait=True)
        file = self.path / "token"
        file.touch(0o600)
        file.write_text(token)
        timeouts = {name: os.environ.get(name, value) for name, value in _LONGER_TIMEOUTS.items()}
        settings = {**QUIET, **timeouts, **_PRIVATE, "RAY_AUTH_TOKEN_PATH": str(file)}
        self._environment = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)

    def leave(self) -> None:
        """End Ray; returns when none of its processes is left."""
        disconnect()
        self.remove()

    def remove(self) -> None:
        """End what still runs in the folder, then the folder."""
        end_processes(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
        for name, value in self._environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _locked(home: Path, *, wait: bool) -> int | None:
    """A descriptor that holds the folder's lock while it is open; ``None`` where it is taken."""
    descriptor = os.open(
        home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def sweep() -> None:
    """Remove the folders that killed drivers of this user have left, with their processes."""
    for home in TEMP.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another start removes it at the same time
            status = home.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                _remove_unheld(home)


def _remove_unheld(home: Path) -> None:
    lock = _locked(home, wait=False)
    if lock is None:
        return
    if (home / "token").exists():  # else it is being made
        LOGGER.info(f"removed what a killed driver left: {home}, {end_processes(home)} processes")
        shutil.rmtree(home, ignore_errors=True)
    os.close(lock)


def end_processes(home: Path) -> int:
    """End every process that works in a folder; returns how many there were, when none is left.

    They are known by their command line, or by a file in the folder that they hold open: Ray's
    workers rename themselves.
    """
    limit = time.monotonic() + _END_SECONDS
    ended: set[int] = set()
    while (found := _processes(home)) and time.monotonic() < limit:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        time.sleep(0.02)
    return len(ended)


def _processes(home: Path) -> set[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return {pid for pid in pids if pid != os.getpid() and _works_in(pid, home)}


def _works_in(pid: int, home: Path) -> bool:
    process, inside = Path(f"/proc/{pid}"), f"{home}/"
    try:
        if process.stat().st_uid != os.getuid():
            return False
        if inside.encode() in (process / "cmdline").read_bytes():
            return True
        return any(_leads_to(link, inside) for link in (process / "fd").iterdir())
    except OSError:  # it has ended meanwhile
        return False


def _leads_to(link: Path, inside: str) -> bool:
    try:
        return os.readlink(link).startswith(inside)
    except OSError:
        return False
