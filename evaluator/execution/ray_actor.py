"""A worker inside a Ray actor, called by the driver. Ray is imported only where the actor runs.

Every method returns the events of ``interfaces`` instead of raising: an exception that travels
through Ray would need its class, and its module, on both sides.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from evaluator.errors import ImageUnreadable
from evaluator.execution.worker import AnswerComparison, as_event, evaluated, open_session
from evaluator.interfaces import BLIND, Done, Error, Figures, Ready, Session, SessionSettings
from evaluator.records import ImageRef, Unit
from evaluator.sources import read_image, there_is
from evaluator.sources.folder import data_folder
from evaluator.text import printable

CONCURRENT = "concurrent"
"""The concurrency group of the calls that do not wait for a computation."""

_OF_THE_NODE = frozenset({"missing", "changed", "permission", "io-error"})
"""Failures of an image that may be the node's: the data folder is not mounted, or another is."""


class Place(NamedTuple):
    """The place of an actor.

    Attributes:
        node: Ray's id of it.
        name: of its host.
        device: as people read it.
        pid: of the process.
        unseen: the path that the node cannot see as the manifest has it, in words; empty as a rule.
    """

    node: str
    name: str
    device: str
    pid: int
    unseen: str


class RayWorker:
    """Holds one session. Calls are carried out in turn, all but ``prefetch`` and ``figures``."""

    def __init__(
        self,
        worker: int,
        settings: SessionSettings,
        dotted_session: str,
        sample: Sequence[ImageRef],
    ) -> None:
        """Remember the arguments; all that can fail is a call, so that the driver gets the error.

        Args:
            worker: the number to sign events with.
            settings: for the session.
            dotted_session: ``module:function`` that opens it.
            sample: images that every node must see, with the sizes that the manifest has.
        """
        self._worker = worker
        self._settings = settings
        self._dotted_session = dotted_session
        self._sample = tuple(sample)
        self._session: Session | None = None
        self._position: int | None = None
        self._comparison = AnswerComparison(settings.plan.precision)

    def place(self) -> Place:
        """Return the place of this process, and whether it sees the images."""
        import ray

        os.dup2(2, 1)  # what libraries print goes to the driver's log, never to its standard output

        device = self._settings.device
        if device.startswith("cuda"):
            device = f"cuda:{','.join(ray.get_runtime_context().get_accelerator_ids()['GPU'])}"
        node = ray.get_runtime_context().get_node_id()
        return Place(node, socket.gethostname(), device, os.getpid(), self._unseen())

    def open(self) -> Ready | Error:
        """Open the session, if it is not open yet."""
        try:
            if self._session is None:
                self._session = open_session(self._dotted_session)(self._settings)
            return Ready(self._worker, None, None, self._session.versions())
        except Exception as error:
            return as_event(error, self._worker, 0, loading=True)

    def load(self, unit: Unit) -> Ready | Error:
        """Load the backbone of a unit, which comes without its maps."""
        try:
            session = self._opened()
            self._position = None
            loaded = session.load(unit.backbone)
            self._position = unit.backbone
            other = self._comparison.compare(unit, session, loaded=True)
            return Ready(self._worker, unit.backbone, loaded, session.versions(), other)
        except Exception as error:
            return as_event(error, self._worker, unit.id, loading=True)

    def compute(self, unit: Unit) -> Ready | Done | Error:
        """Evaluate a unit of the loaded backbone; an error if this node cannot see the images.

        ``Ready`` where the backbone answers otherwise than stored, which could not be seen before.
        """
        try:
            if unit.backbone != self._position:
                return Error(
                    self._worker,
                    unit.id,
                    "error",
                    f"network {unit.backbone} is not loaded",
                    loading=True,
                )
            session = self._opened()
            if other := self._comparison.compare(unit, session, loaded=False):
                return Ready(self._worker, unit.backbone, None, session.versions(), other)
            result = evaluated(unit, session)
            if any(failure.reason in _OF_THE_NODE for failure in result.failures) and (
                unseen := self._unseen()
            ):
                return Error(self._worker, unit.id, BLIND, unseen, loading=True)
            return Done(self._worker, unit.id, result)
        except Exception as error:
            return as_event(error, self._worker, unit.id, loading=False)

    def prefetch(self, unit: Unit) -> None:
        """Begin decoding the images of a unit; errors are reported when it is computed."""
        if self._session is not None:
            with suppress(Exception):
                self._session.prefetch(unit)

    def figures(self) -> Figures | None:
        """The device's figures; ``None`` before the session is open, or if the device has none."""
        with suppress(Exception):
            return Figures(self._worker, self._session.figures()) if self._session else None
        return None

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("the session is not open")
        return self._session

    def _unseen(self) -> str:
        """The first path that cannot be seen from here as the manifest has it, and why."""
        settings = self._settings
        root = data_folder(settings.root, follow_links=settings.plan.follow_links)
        if not there_is(root):
            return f"{socket.gethostname()} cannot see {printable(root)}: no such folder"
        for image in self._sample:
            if why := _difference(root, image):
                path = os.path.join(os.fsencode(root), image.path)
                return f"{socket.gethostname()} cannot see {printable(path)}: {why}"
        return ""


def _difference(root: Path, image: ImageRef) -> str:
    try:
        read_image(root, image.path, image.size)
    except ImageUnreadable as error:
        return error.message
    return ""


def sample_of(root: Path, images: Sequence[ImageRef], count: int = 8) -> list[ImageRef]:
    """The first images of the seeded order that this machine, as every node must, sees whole."""
    seen: list[ImageRef] = []
    for image in images[: 4 * count]:
        if len(seen) < count and not _difference(root, image):
            seen.append(image)
    return seen


def without_maps(unit: Unit) -> Unit:
    """The unit without its stored maps, which ``load`` and ``prefetch`` do not need."""
    return replace(unit, maps={})
