"""Changes of a stored run that a request makes, in words; a run is extended, never cut."""

from __future__ import annotations

from evaluator.plan import RunPlan
from evaluator.plan_changes import extended
from evaluator.text import printable


def plan_diff(stored: RunPlan, asked: RunPlan) -> list[str]:
    """Return the additions to the stored run, one clause each; none where it only goes on.

    Raises:
        Mismatch: the two differ in a choice of the protocol.
    """
    both = extended(stored, asked)
    clauses = []
    if both.limit != stored.limit:
        clauses.append(
            f"{_images(both.limit)} instead of {_images(stored.limit)}, for every method it has"
        )
    elif asked.limit and asked.limit != stored.limit:
        clauses.append(
            f"it keeps {_images(stored.limit)}, a run does not shrink: another --name for "
            f"{asked.limit}"
        )
    if str(both.rule) != str(stored.rule):
        clauses.append(f"--until {both.rule or 'all'} instead of {stored.rule or 'all'}")
    for what, before, after in (
        (
            "backbone",
            [spec.name for spec in stored.backbones],
            [spec.name for spec in both.backbones],
        ),
        ("method", stored.methods, both.methods),
        ("metric", stored.metrics, both.metrics),
    ):
        new = [name for name in after if name not in before]
        if new:
            clauses.append(
                f"new {what}{'s' if len(new) > 1 else ''} {', '.join(map(printable, new))}"
            )
    if both.truth != stored.truth:
        clauses.append(f"truth from {printable(both.truth)}")
    return clauses


def _images(limit: int | None) -> str:
    return "all images" if limit is None else f"the first {limit}"
