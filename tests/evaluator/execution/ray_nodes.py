"""Ray nodes on this machine, as ``ray start`` makes them by hand; one can be killed, or see other
files than the rest.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from evaluator.execution.ray_cluster import end_processes

_TRIES = 3
_START = "from ray.scripts.scripts import main; main()"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        port: int = one.getsockname()[1]
    return port


class Nodes:
    """A cluster: the first node is the head. ``end`` leaves no process."""

    def __init__(self, cpus: float = 1) -> None:
        self.home = Path(mkdtemp(prefix="ray-test-", dir="/tmp"))
        self._cpus = cpus
        self._nodes: list[subprocess.Popen[bytes]] = []
        port = _free_port()
        self.address = f"{self._ip()}:{port}"
        self._head = (
            "--head",
            f"--port={port}",
            "--include-dashboard=false",
            f"--temp-dir={self.home}",
        )
        self.add()

    @staticmethod
    def _ip() -> str:
        """The address that Ray takes for this machine's."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            with suppress(OSError):
                one.connect(("192.0.2.1", 9))
            address: str = one.getsockname()[0]
        return address

    def add(self, before: str = "") -> int:
        """Start a node, wait until it has joined; returns its number. ``before``: a command in a
        mount namespace of its own.
        """
        for _ in range(_TRIES):
            node = self._start(
                self._head if not self._nodes else (f"--address={self.address}",), before
            )
            if self._joined(node):
                self._nodes.append(node)
                return len(self._nodes) - 1
            _end(node)
        raise AssertionError(self._log.read_text())

    @property
    def _log(self) -> Path:
        return self.home / f"node{len(self._nodes)}.log"

    def _start(self, where: tuple[str, ...], before: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-c",
            _START,
            "start",
            "--block",
            f"--num-cpus={self._cpus}",
            "--num-gpus=0",
            *where,
        ]
        if before:
            command = ["unshare", "--mount", "sh", "-c", f'{before} && exec "$@"', "sh", *command]
        settings = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            "RAY_agent_register_timeout_ms": "120000",
        }
        with self._log.open("wb") as stream:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, **settings},
                start_new_session=True,
            )

    def _joined(self, node: subprocess.Popen[bytes]) -> bool:
        """Whether it comes up: Ray gives its processes 30 s, which are not always enough on a
        machine that others use too.
        """
        limit = time.monotonic() + 120
        while node.poll() is None and time.monotonic() < limit:
            if b"Ray runtime started" in self._log.read_bytes():
                return True
            time.sleep(0.1)
        return False

    def kill(self, number: int) -> None:
        """Everything of a node at once, as when its power fails."""
        _end(self._nodes[number])

    def end(self) -> None:
        for node in self._nodes:
            _end(node)
        end_processes(self.home)
        shutil.rmtree(self.home, ignore_errors=True)


def _end(node: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()
