"""Names that the shell offers when Tab is pressed: runs, backbones, methods and metrics.

``camtui --install-completion`` teaches it to bash, zsh and fish.
"""

from __future__ import annotations

from collections.abc import Iterable

from evaluator import catalog
from evaluator.backbones import known_backbones, other_backbones
from evaluator.errors import CamtuiError
from evaluator.methods import all_methods
from evaluator.metrics import all_metrics
from evaluator.references import installed


def runs(incomplete: str) -> list[str]:
    """Return names of runs, the latest first."""
    from camtui.runs import LAST, list_runs

    try:
        names = [path.stem for path in list_runs()]
    except CamtuiError:  # no folder of runs: Tab is no place to complain
        names = []
    return _beginning(incomplete, [*names, LAST] if incomplete else names)


def backbones(incomplete: str) -> list[str]:
    """Return names of backbones: camtui's, torchvision's, those of installed packages.

    Of a list with commas, the last part is completed.
    """
    return _last_part(incomplete, [*known_backbones(), *other_backbones(), *installed("backbone")])


def methods(incomplete: str) -> list[str]:
    """Return keys of methods, and behind a colon their options that are words.

    ``scorecam:`` → ``scorecam:variant=cic``; of a list with commas, the last part.
    """
    choices = [
        (f"{key}:{name}", values)
        for key, kind in all_methods().items()
        for name, values in kind.choices.items()
    ]
    variants = [f"{option}={value}" for option, values in choices for value in values]
    return _last_part(
        incomplete, [*all_methods(), *installed("method"), *(variants if ":" in incomplete else ())]
    )


def metrics(incomplete: str) -> list[str]:
    """Return metrics to rank or sort by."""
    return _beginning(incomplete, all_metrics())


def metric_lists(incomplete: str) -> list[str]:
    """Return metrics for a list with commas, and ``all``."""
    return _last_part(incomplete, [*all_metrics(), "all"])


def optional_metrics(incomplete: str) -> list[str]:
    """Return the optional metrics of a run, and ``all``."""
    return _last_part(incomplete, [*catalog.optional_metrics(), *installed("metric"), "all"])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _last_part(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return completions of a list's last part, without those that stand in it already.

    ``gradcam,sc`` → ``gradcam,scorecam``.
    """
    head, comma, last = incomplete.rpartition(",")
    given = head.split(",")
    return [f"{head}{comma}{name}" for name in _beginning(last, names) if name not in given]
