"""Published weights that a request needs and this machine lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from camtui.launch import as_error
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
    command = [sys.executable, "-P", "-m", "evaluator.networks.fetching", *keys]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        last = (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        why = f"the weights of {', '.join(keys)} cannot be looked for: {printable(last, 200)}"
        raise RunFailed(why, "this machine, in words: camtui doctor") from error
    if "error" in answer:
        raise as_error(answer["error"])


def _loaded(database: Path) -> set[str]:
    """Return names of the backbones that the run has loaded."""
    if not database.exists():
        return set()
    try:
        with RunReader(database) as reader:
            return set(reader.backbones())
    except CamtuiError:  # the driver says what is wrong with the file
        return set()
