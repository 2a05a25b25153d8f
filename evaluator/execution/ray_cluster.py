"""The connection to a Ray cluster, joined or started for this run, and the actors in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from evaluator.errors import TryAgain, UsageError
from evaluator.execution.private_ray import start_private_ray
from evaluator.execution.ray_connection import QUIET, connect_to, disconnect
from evaluator.execution.ray_shares import NodeRoom, Share, share_out
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.execution.request import RaySettings

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
