"""Prepares the session of a driver: what is asked for becomes part of the run's file.

All of it is one transaction, and ``RunWriter.withdraw`` takes it back.
"""

from __future__ import annotations

import platform
import sqlite3
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evaluator.errors import CodeNotAllowed, Mismatch, StoreError
from evaluator.execution.request import RunRequest
from evaluator.images import Manifest, planned_images
from evaluator.label_file import Listing
from evaluator.plan import RunPlan
from evaluator.plan_changes import as_begun, extended
from evaluator.records import RunInfo
from evaluator.store.reader import LABELS, RunReader
from evaluator.text import printable
from evaluator.truth.folder import planned_truth

if TYPE_CHECKING:
    from evaluator.store.writer import RunWriter

_TRUTH = "truth"
"""The key of the truth's hash among the run's versions."""


class StoredRun(NamedTuple):
    """A run as it was before the request.

    Attributes:
        begun_earlier: by a version whose words meant other formulas.
    """

    plan: RunPlan
    info: RunInfo
    listing: Listing
    begun_earlier: bool


class PreparedRun(NamedTuple):
    """The plan and the images as they are stored now, and the run as it was before.

    Attributes:
        before: ``None`` where there was none.
    """

    plan: RunPlan
    manifest: Manifest
    before: StoredRun | None


def prepare(writer: RunWriter, request: RunRequest) -> PreparedRun:
    """Store what is asked for.

    Raises:
        CamtuiError: it cannot be added to the run that is there, which is as it was.
    """
    before = _stored_run(request.db)
    plan = request.plan
    if before is not None:
        if plan and before.begun_earlier:
            plan = as_begun(before.plan, plan)
        plan = extended(before.plan, plan) if plan else before.plan
    if plan is None:
        raise StoreError(f"{printable(request.db)} holds no run yet", "camtui run starts one")
    _refuse_code(plan, request)
    manifest = planned_images(plan, before.listing if before else None)
    versions = {
        **_truth_identity(plan, before),
        **_label_identity(manifest),
        "camtui": version("camtui"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    stored = manifest
    if before and plan.labels is None:  # the labels by folders are the loaded networks' to give
        unlabelled = tuple(image._replace(label=None) for image in manifest.images)
        stored = replace(manifest, images=unlabelled)
    writer.begin(request.name, plan, stored, versions=versions, retry_failed=request.retry_failed)
    return PreparedRun(plan, manifest, before)


def _stored_run(database: Path) -> StoredRun | None:
    """The run in a file, ``None`` where the file holds none.

    Raises:
        StoreError: its plan is damaged.
    """
    with RunReader(database) as reader:
        try:
            info = reader.info()
        except StoreError:
            return None  # a driver died between making the file and storing the run
        return StoredRun(reader.plan(), info, reader.listing(), reader.keeps_earlier_words())


def _refuse_code(plan: RunPlan, request: RunRequest) -> None:
    """Refuse code that the user has not allowed as it is now.

    Raises:
        CodeNotAllowed: the plan names such code.
    """
    for one in plan.code:
        if request.allowed.get(one.reference) != one.sha256:
            raise CodeNotAllowed(
                f"{request.run_reference} needs {printable(one.reference)}, which nobody has "
                "allowed to run here",
                f"camtui resume {request.run_reference} --allow-code",
            )


def _label_identity(manifest: Manifest) -> dict[str, str]:
    """The hash of a file of labels that was found without fault, ``{"labels": …}``; else none."""
    file = manifest.label_file
    return {LABELS: file.sha256} if file and not file.faults else {}


def _truth_identity(plan: RunPlan, before: StoredRun | None) -> dict[str, str]:
    """The hash of the plan's truth as it is recorded, ``{"truth": …}``; none without a truth.

    Raises:
        Mismatch: it is not that which the run's rows were compared with.
    """
    truths = planned_truth(plan)
    if truths is None:
        return {}
    identity = truths.sha256()
    stored = (
        before.info.versions.get(_TRUTH, identity) if before and before.plan.truth else identity
    )
    if stored != identity and stored == truths.sha256(hidden=True):
        return {_TRUTH: stored}  # of an earlier version, which had hidden files in it
    if stored != identity:
        raise Mismatch(
            f"the truth in {printable(plan.truth)} is not that which the run was measured with",
            "put the former one back, or choose another --name",
        )
    return {_TRUTH: identity}
