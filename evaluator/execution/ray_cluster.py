"""The connection to a Ray cluster, joined or started for this run, and the actors in it."""

from __future__ import annotations

import fcntl
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evaluator.errors import CamtuiError, RunFailed, TryAgain, UsageError
from evaluator.execution.run_log import LOGGER
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.execution.request import RaySettings


class NodeRoom(NamedTuple):
    """CPUs and GPUs of one node of the cluster."""

    cpus: float
    gpus: float


class Share(NamedTuple):
    """So many workers, each with so many CPUs and GPUs of one node.

    Attributes:
        workers: their number.
        cpus: that Ray reserves for each.
        gpus: that Ray reserves for each.
        cores: that each has in fact, where all workers of its node are alike.
    """

    workers: int
    cpus: float
    gpus: float
    cores: float


def share_out(nodes: Sequence[NodeRoom], workers: int | None, gpus: float) -> Share:
    """One worker on each GPU, or one on each node where they compute on CPUs.

    Args:
        nodes: of the cluster.
        workers: how many are asked for; ``None``: as many as that makes.
        gpus: of each worker; 0: it computes on CPUs.

    Raises:
        UsageError: there is no room for so many, or for one.
    """
    return _on_gpus(nodes, workers, gpus) if gpus else _on_cpus(nodes, workers)


def _on_gpus(nodes: Sequence[NodeRoom], workers: int | None, gpus: float) -> Share:
    room = {node: _workers_on(node, gpus) for node in nodes}
    most = sum(_workers_on(node, gpus) for node in nodes)
    if not most:
        raise UsageError(
            f"no node of the Ray cluster has {gpus:g} GPUs",
            "camtui run --executor ray --device cpu",
        )
    if workers is not None and workers > most:
        raise UsageError(
            f"--workers {workers}: the Ray cluster has room for {most} with {gpus:g} GPUs each",
            f"--workers {most}",
        )
    cpus = min(node.cpus / count for node, count in room.items() if count)
    return Share(workers or most, min(1.0, _portion(cpus)), gpus, _portion(cpus))


def _workers_on(node: NodeRoom, gpus: float) -> int:
    """Number of workers on a node, as Ray places them: less than one GPU never spans two."""
    if gpus < 1:
        return int(node.gpus) * int(1 / gpus + 1e-6)
    return int(node.gpus / gpus + 1e-6)


def _on_cpus(nodes: Sequence[NodeRoom], workers: int | None) -> Share:
    usable = [node.cpus for node in nodes if node.cpus > 0]
    if not usable:
        raise UsageError(
            "no node of the Ray cluster has a CPU to give", "ray start with --num-cpus"
        )
    count = workers or len(usable)
    cpus = _portion(min(usable) / math.ceil(count / len(usable)))
    return Share(count, cpus, 0.0, cpus)


def _portion(cpus: float) -> float:
    """Round down to whole CPUs, or to hundredths below one, as Ray requires."""
    return float(math.floor(cpus)) if cpus >= 1 else math.floor(cpus * 100) / 100


QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def connect_to(**options: Any) -> None:
    """Connect to the Ray that ``ray.init`` finds or starts with these options.

    Raises:
        Exception: ConnectionError, RuntimeError, ValueError or Ray's own, for one and the same
            trouble.
    """
    import ray

    with _signals_kept():
        ray.init(logging_level=logging.ERROR, configure_logging=True, log_to_driver=True, **options)


def disconnect() -> None:
    """End the connection, and the Ray that was started with it."""
    import ray

    ray.shutdown()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the driver's handlers of signals, which finish the units in flight; Ray sets its own."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


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


_REACHABLE_SECONDS = 10.0


class Cluster:
    """A connection to Ray, which creates, restarts and ends actors."""

    def __init__(
        self, share: Share, make: Callable[[int, Share], tuple[Any, ...]], leave: Callable[[], None]
    ) -> None:
        """Take over a connection that is open.

        Args:
            share: what each worker gets.
            make: the arguments of the worker with that number, and with that share.
            leave: ends the connection, and the cluster if it is ours.
        """
        self._share = share
        self._make = make
        self._leave = leave

    @property
    def workers(self) -> int:
        """Number of workers that the cluster is to have."""
        return self._share.workers

    def create_actor(self, number: int) -> Any:
        """Create the actor of a worker, whose process Ray starts and restarts."""
        import ray

        from evaluator.execution.ray_actor import CONCURRENT, RayWorker

        kind = ray.remote(concurrency_groups={CONCURRENT: 1})(RayWorker)
        return kind.options(
            num_cpus=self._share.cpus,
            num_gpus=self._share.gpus,
            max_restarts=-1,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        ).remote(*self._make(number, self._share))

    def restart(self, actor: Any) -> None:
        """End an actor's process at once; Ray starts another."""
        import ray

        with suppress(ray.exceptions.RayError):
            ray.kill(actor, no_restart=False)

    def is_dead(self, error: BaseException) -> bool:
        """Whether an actor will never answer again, by what a call to it raised."""
        import ray

        return isinstance(error, ray.exceptions.ActorDiedError)

    def is_raised(self, error: BaseException) -> bool:
        """Whether the method that was called raised: the actor's process lives."""
        import ray

        return isinstance(error, ray.exceptions.RayTaskError)

    def words(self, error: BaseException) -> str:
        """One line of what Ray has to say."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return printable(lines[-1] if lines else type(error).__name__, 300)

    def is_alive(self, node: str) -> bool:
        """Whether Ray counts a node among the living."""
        import ray

        return any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())

    def close(self, actors: Sequence[Any]) -> None:
        """End these actors for good, then the connection."""
        import ray

        for actor in actors:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)
        self._leave()


def connect(
    settings: RaySettings, *, cuda: bool, make: Callable[[int, Share], tuple[Any, ...]]
) -> Cluster:
    """Start a private Ray, or join the one whose address is given.

    Raises:
        UsageError: Ray is not installed, or the cluster has no room for what is asked.
        TryAgain: no cluster answers at the address.
    """
    require_ray()
    leave = _join(settings.address) if settings.address else start_private_ray(cuda=cuda)
    try:
        return Cluster(
            share_out(_rooms(), settings.workers, settings.gpus_per_worker if cuda else 0.0),
            make,
            leave,
        )
    except BaseException:
        leave()
        raise


def require_ray() -> None:
    """Check that Ray is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("ray") is None:
        raise UsageError(
            "--executor ray needs Ray, which is not installed", 'pip install "camtui[ray]"'
        )


def _rooms() -> list[NodeRoom]:
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [NodeRoom(resources.get("CPU", 0.0), resources.get("GPU", 0.0)) for resources in alive]


def _join(address: str) -> Callable[[], None]:
    os.environ.update(QUIET)
    try:
        _check_reachable(address)
        connect_to(address=address)
    # Ray raises ConnectionError, RuntimeError, ValueError and its own, for one and the same trouble
    except Exception as error:
        disconnect()
        why = printable(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
        raise TryAgain(
            f"cannot join a Ray cluster at {printable(address)}: {why}",
            "ray status, on a node of it",
        ) from error
    return disconnect


def _check_reachable(address: str) -> None:
    """Raise where nobody listens, for which Ray would try minutes and then end the process."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and host and "://" not in address:
        if host in ("localhost", "127.0.0.1"):
            host = _address_of_this_machine()  # as Ray reads it
        socket.create_connection((host, int(port)), _REACHABLE_SECONDS).close()


def _address_of_this_machine() -> str:
    """The address that Ray takes for this machine's."""
    import ray

    address: str = ray.util.get_node_ip_address()
    return address
