"""The contract: pinned names, a light import; camtui's methods use no more."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evaluator.methods
import evaluator.metrics
from camtui import extend

NAMES = {
    1: """API_VERSION Attention ChannelMasks Explained FixedMap Frame ImageMethod ImageView Method
        Metric REFERENCES SIGNS Saliency Step View area_under_curve first_right_singular_vector
        guarded_ratio high_power inner_steps pixel_gradient pixel_ranks Probe stepwise_noise
        sum_of_positions versions weighted_sum BiasGradient BlockScore COMPOSITES min_max""",
}
"""The names of each version; what goes or means something else raises the version. Signatures:
``public_surface.txt``.
"""

SHARED = {"__init__", "base"}
FOLDERS = [Path(str(one.__file__)).parent for one in (evaluator.methods, evaluator.metrics)]
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]
OURS = [path for path in FILES if path.stem not in SHARED]


def test_the_names_of_this_version() -> None:
    assert set(extend.__all__) == set(NAMES[extend.API_VERSION].split())
    assert all(hasattr(extend, name) for name in extend.__all__)


def test_every_name_has_an_example_or_stands_in_one() -> None:
    assert [
        name for name in extend.__all__ if name not in str(extend.__doc__) and name not in _TYPES
    ] == []


_TYPES = {
    "API_VERSION",
    "Attention",
    "BiasGradient",
    "BlockScore",
    "COMPOSITES",
    "ChannelMasks",
    "ImageView",
    "Probe",
    "Saliency",
    "Step",
    "View",
}
"""Types of arguments, described where they are defined."""


def test_importing_it_imports_nothing_heavy() -> None:
    program = "import sys, camtui.extend; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint(
        {"torch", "torchvision", "numpy", "textual", "PIL", "sqlite_utils", "typer", "rich"}
    )


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of everything of this project that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] in ("evaluator", "camtui")
        ):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                (alias.name, "")
                for alias in node.names
                if alias.name.split(".")[0] in ("evaluator", "camtui")
            )


MADE_OF_OTHERS = {
    "wrongclass": "evaluator.methods",
    "refinecam": "evaluator.methods",
    "average_sensitivity": "evaluator.metrics.max_sensitivity",
}
"""What is made of other methods or metrics of camtui's own, and the module that these are of."""


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_use_nothing_else(path: Path) -> None:
    from importlib import import_module

    for module, name in imported(path):
        if MADE_OF_OTHERS.get(path.stem) == module:
            continue
        assert getattr(extend, name, None) is getattr(import_module(module), name), (
            f"{path.name} uses {module}.{name}"
        )


def test_there_are_methods_to_look_at() -> None:
    assert len(OURS) > 25
    assert sum(len(list(imported(path))) for path in OURS) > 50
