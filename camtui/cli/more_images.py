"""Confirmation that a run takes more images than it has, where no number was given."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from camtui.cli.console import confirm
from camtui.format.numbers import count
from camtui.planning import stored_listing
from camtui.runs import reference
from evaluator.errors import UsageError
from evaluator.images import planned_images
from evaluator.plan import RunPlan


def confirm_more_images(
    plan: RunPlan, stored: RunPlan | None, path: Path, *, everything: bool
) -> RunPlan:
    """Return the plan, with the stored run's images where the user wants no more than these.

    Args:
        plan: as asked for.
        stored: of the run in ``path``, ``None`` where there is none.
        everything: ``--all``.

    Raises:
        UsageError: the run would grow by images that nobody asked for, and there is no terminal to
            ask on.
    """
    if everything and plan.limit is not None:
        raise UsageError("--all and -n exclude each other", "leave one of them out")
    if everything or stored is None or stored.limit is None or plan.limit is not None:
        return plan
    there = len(planned_images(plan, stored_listing(path)).images)
    if there <= stored.limit:
        return plan
    has = f"{reference(path)} has the first {count(stored.limit)} of {count(there)} images"
    if not sys.stdin.isatty():
        raise UsageError(
            f"{has}, and -n is not given",
            f"-n {stored.limit} keeps to them, --all takes every image",
        )
    question = f"{has}; take the other {count(there - stored.limit)} too, for every method it has?"
    return plan if confirm(question, yes=False) else replace(plan, limit=stored.limit)
