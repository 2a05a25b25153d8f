"""Published weights that a request needs and this machine lacks."""

from __future__ import annotations

from pathlib import Path

from camtui.child import ChildEnded, ask_once
from evaluator.backbone_spec import DEFAULT_WEIGHTS
from evaluator.backbones import family_of, local_weights
from evaluator.errors import CamtuiError, RunFailed
from evaluator.plan import RunPlan
from evaluator.store.reader import RunReader
from evaluator.text import printable


def missing_weights(plan: RunPlan, database: Path) -> list[str]:
    """Return the backbones whose published weights neither this machine nor the run has."""
    wanted = [
        spec
        for spec in plan.backbones
        if spec.weights == DEFAULT_WEIGHTS
        and family_of(spec.key).published
        and local_weights(spec.key) is None
    ]
    loaded = _loaded(database) if wanted else set()
    return list(dict.fromkeys(spec.key for spec in wanted if spec.name not in loaded))


def fetch_weights(keys: list[str]) -> None:
    """Bring published weights to this machine, each checked against its network.

    Raises:
        CamtuiError: they cannot be fetched, or do not fit.
    """
    if not keys:
        return
    try:
        ask_once("evaluator.networks.fetching", {"backbones": keys})
    except ChildEnded as end:
        why = f"the weights of {', '.join(keys)} cannot be looked for: {printable(end.said, 200)}"
        raise RunFailed(why, "this machine, in words: camtui doctor") from end


def _loaded(database: Path) -> set[str]:
    """Return names of the backbones that the run has loaded."""
    if not database.exists():
        return set()
    try:
        with RunReader(database) as reader:
            return set(reader.backbones())
    except CamtuiError:  # the driver says what is wrong with the file
        return set()
