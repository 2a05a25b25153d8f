"""What there is, is documented: commands, methods, metrics, backbones, exit codes, variables; in README and ``--help``."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from camtui.cli.app import app
from evaluator import errors
from evaluator.backbones import known_backbones
from evaluator.methods import all_methods
from evaluator.metrics import all_metrics
from tests.evaluator.execution.support import ROOT

README = (ROOT / "README.md").read_text()

FOR_TESTS = {"CAMTUI_DRIVER", "CAMTUI_CRASH_AT"}
"""Variables that no user sets."""

GROUP = typer.main.get_group(app)
COMMANDS = sorted(GROUP.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command(name: str) -> None:
    assert f"`camtui {name}`" in README
    described = GROUP.commands[name].help or ""
    example = re.search(rf"^Example: camtui {name}\b(.*)", described, re.MULTILINE)
    assert example, f"camtui {name} --help has no example"
    GROUP.commands[name].make_context(name, shlex.split(example[1]))  # every word of it is understood
    for parameter in GROUP.commands[name].params:
        assert getattr(parameter, "help", None), f"camtui {name} {parameter.name}"


def test_a_table_of_the_readme_has_every_method_and_metric() -> None:
    for key, method in all_methods().items():
        assert f"| `{key}` | {method.title} (" in README
        for option in method().options:
            assert f"`{option}=" in README
    for key, metric in all_metrics().items():
        assert f"| `{key}` | {metric.arrow} |" in README


def test_every_known_backbone_is_named() -> None:
    assert [key for key in known_backbones() if key not in README] == []


def test_every_exit_code_of_an_error_is_in_the_table() -> None:
    table = README.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CamtuiError)]
    assert len(kinds) > 8
    assert [kind for kind in kinds if not re.search(rf"\b{kind.exit_code}\b", table)] == []


def test_every_variable_that_is_read_is_in_the_table() -> None:
    reads = re.compile(r"""(?:environ(?:\.get\(|\.pop\(|\[)|(?=["'][A-Z_]+["'] (?:not )?in os\.environ))["']([A-Z_]+)""")
    files = [path for package in ("camtui", "evaluator") for path in (ROOT / package).rglob("*.py")]
    found = {name for path in files for name in reads.findall(path.read_text())}
    assert {"CAMTUI_HOME", "NO_COLOR", "TMUX"} <= found
    assert {name for name in found - FOR_TESTS if f"`{name}`" not in README} == set()
