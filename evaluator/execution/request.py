"""The request of a launcher to a driver: one JSON document on the driver's standard input."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, NamedTuple

from evaluator.errors import NotFound, StoreError, UsageError
from evaluator.interfaces import DEFAULT_SESSION
from evaluator.plan import RunPlan
from evaluator.store.files import log_path
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.labels import Listing
    from evaluator.records import LoadedBackbone, RunInfo


@dataclass(frozen=True)
class FailureLimit:
    """``--max-failures``: a number of failures, or a share of all (cell, image) pairs."""

    count: int | None = None
    share: float | None = None

    @staticmethod
    def parse(text: str) -> FailureLimit:
        """``20`` or ``1.5%``.

        Raises:
            UsageError: neither.
        """
        try:
            limit = (
                FailureLimit(share=float(text[:-1]) / 100)
                if text.endswith("%")
                else FailureLimit(count=int(text))
            )
        except ValueError:
            limit = FailureLimit(count=-1)
        if (limit.count or 0) < 0 or not 0 <= (limit.share or 0) <= 1:
            raise UsageError(
                f"--max-failures takes a number or a percentage, not '{text}'",
                "for example --max-failures 1%",
            )
        return limit

    def passed(self, failures: int, pairs: int) -> bool:
        """Whether so many failures among so many pairs are too many."""
        if self.count is not None:
            return failures > self.count
        return self.share is not None and failures > self.share * pairs

    def __str__(self) -> str:
        return str(self.count) if self.share is None else f"{100 * self.share:g}%"


@dataclass(frozen=True)
class RaySettings:
    """``--executor ray``: where, and how much of it.

    Attributes:
        address: of a cluster to join, ``auto`` or ``HOST:PORT``; empty: a Ray of our own on this
            machine.
        workers: how many, ``None`` for one on each GPU (or node).
        gpus_per_worker: counts on devices of the kind ``cuda``.
    """

    address: str = ""
    workers: int | None = None
    gpus_per_worker: float = 1.0


@dataclass(frozen=True)
class DriverSettings:
    """Settings of a run that change its numbers by rounding only.

    Batch size and number of threads decide in which order floating-point sums are made: rows in
    float32 differ by up to 5e-6. Curves of one stored map agree to 1e-6; those of maps that differ
    in the last digit by up to 4e-4, where pixels are nearly tied (docs/metrics.md).

    Attributes:
        devices: one worker each: ``cpu``, ``cuda:N``; repeated for several workers on one.
        batch_size: images in one forward, ``None`` to adapt.
        tuning: where the sizes that suit this machine are remembered.
        max_failures: as typed, empty for no limit.
        on_finish: command that gets a JSON document on its standard input when the run ends, also
            when it crashes.
        session: ``module:function`` that a worker calls; tests put a fake evaluator there.
        hang_seconds: no progress for so long, and for ten times what a unit usually takes: the
            worker is replaced.
        load_seconds: the same for starting a worker and loading (perhaps downloading) a backbone.
        retry_seconds: pause between attempts to write on a full disk.
        ray: compute on Ray; ``devices`` then names only the kind, ``cpu`` or ``cuda``. ``None``:
            processes of this machine.
    """

    devices: tuple[str, ...] = ("cpu",)
    batch_size: int | None = None
    tuning: str = ""
    max_failures: str = ""
    on_finish: str = ""
    session: str = DEFAULT_SESSION
    hang_seconds: float = 120.0
    load_seconds: float = 900.0
    retry_seconds: float = 3.0
    ray: RaySettings | None = None

    @property
    def on_cuda(self) -> bool:
        """Whether any of the devices is a GPU."""
        return any(device.startswith("cuda") for device in self.devices)

    @property
    def failure_limit(self) -> FailureLimit:
        """The limit that was typed; one that is never passed where none was."""
        return FailureLimit.parse(self.max_failures) if self.max_failures else FailureLimit()

    def check(self) -> None:
        """Look at what was typed before a run of days depends on it.

        Raises:
            UsageError: a limit or a command that cannot be understood, or a command that is not
                there.
        """
        self.failure_limit  # noqa: B018  raises where it cannot be understood
        try:
            words = shlex.split(self.on_finish)
        except ValueError as error:
            raise UsageError(
                f"--on-finish cannot be split into words: {error}", "quote it as for a shell"
            ) from error
        if words and which(words[0]) is None:
            raise UsageError(
                f"--on-finish: no command '{printable(words[0], 60)}'",
                "give its path: --on-finish '/path/to/it …'",
            )


@dataclass(frozen=True)
class RunRequest:
    """One request to carry out a run.

    Attributes:
        db: absolute path of the run's file.
        name: of a new run.
        plan: what is asked for; ``None`` to go on with the plan that is stored.
        retry_failed: forget the failures first, so that those images are tried again.
        run_reference: what a user types for the run in other commands; the file's path where it has
            no name that they know.
        allowed: code that the user lets this run import: the text of each reference → the hash of
            its source.
        accept_data_changes: keep the run's images where the data folder has changed; those that are
            missing or changed become failures.
    """

    db: Path
    name: str
    plan: RunPlan | None
    settings: DriverSettings = field(default_factory=DriverSettings)
    retry_failed: bool = False
    run_reference: str = "RUN"
    allowed: Mapping[str, str] = field(default_factory=dict)
    accept_data_changes: bool = False

    @property
    def log(self) -> Path:
        """The file for a detached driver's output."""
        return log_path(self.db)

    def to_json(self) -> str:
        """One line; paths need not be UTF-8."""
        plan = self.plan.to_dict() if self.plan else None
        values = {**asdict(self), "db": os.fsencode(self.db).hex(), "plan": plan}
        return json.dumps(values)

    @staticmethod
    def from_json(text: str) -> RunRequest:
        """The request of ``to_json``, whose plan was validated when it was made."""
        values: dict[str, Any] = json.loads(text)
        settings = {f.name: values["settings"][f.name] for f in fields(DriverSettings)}
        settings["ray"] = settings["ray"] and RaySettings(**settings["ray"])
        return RunRequest(
            db=Path(os.fsdecode(bytes.fromhex(values["db"]))),
            name=values["name"],
            plan=RunPlan.from_values(values["plan"]) if values["plan"] else None,
            settings=DriverSettings(**{**settings, "devices": tuple(settings["devices"])}),
            retry_failed=values["retry_failed"],
            run_reference=values["run_reference"],
            allowed=values["allowed"],
            accept_data_changes=values["accept_data_changes"],
        )


class StoredRun(NamedTuple):
    """A run as its file has it before a request.

    Attributes:
        listing: how its images were found.
        begun_earlier: by a version whose words meant other formulas.
        loaded: its backbones by name, ``None`` for one that was never loaded.
    """

    plan: RunPlan
    info: RunInfo
    listing: Listing
    begun_earlier: bool
    loaded: dict[str, LoadedBackbone | None]

    @property
    def images_by_code(self) -> dict[str, int]:
        """Reference of the plan's code → how many images the run has with it."""
        return dict.fromkeys((one.reference for one in self.plan.code), self.info.image_count)


def stored_run(database: Path) -> StoredRun | None:
    """The run in a file, ``None`` where there is none: no file, or one without a run.

    Raises:
        StoreError: not a file of ours, or its plan is damaged.
    """
    from evaluator.store.reader import RunReader

    if not database.exists():
        return None
    with RunReader(database) as reader:
        try:
            info = reader.info()
        except StoreError:
            return None  # a driver died between making the file and storing the run
        return StoredRun(
            reader.plan(),
            info,
            reader.listing(),
            reader.keeps_earlier_words(),
            reader.backbones(),
        )


def known_run(database: Path) -> StoredRun | None:
    """The run in a file, also ``None`` where it cannot be read: the driver says what is wrong."""
    try:
        return stored_run(database)
    except (NotFound, StoreError):
        return None
