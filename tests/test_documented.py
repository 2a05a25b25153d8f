"""What there is, is documented: commands, methods, metrics, backbones, exit codes, variables; in
``docs/`` and ``--help``.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest
import typer

import evaluator.methods
import evaluator.metrics
import evaluator.networks.families
import evaluator.sources
import evaluator.truth
from camtui import extend
from camtui.cli.app import app
from evaluator import errors
from evaluator.backbones import known_backbones
from evaluator.measuring import imputation
from evaluator.methods import all_methods
from evaluator.metrics import all_metrics
from evaluator.plan import PROTOCOL, ProtocolOption, RunPlan
from tests.evaluator.execution.support import ROOT

PAGES = {
    str(page.relative_to(ROOT / "docs")): page.read_text()
    for page in sorted((ROOT / "docs").rglob("*.md"))
}
"""Those below ``docs/``, by their path from there."""
COMMANDS_PAGE = PAGES["commands.md"]

FOR_TESTS = {"CAMTUI_DRIVER", "CAMTUI_CRASH_AT"}
"""Variables that no user sets."""

GROUP = typer.main.get_group(app)
COMMANDS = sorted(GROUP.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command(name: str) -> None:
    assert f"`camtui {name}`" in COMMANDS_PAGE
    described = GROUP.commands[name].help or ""
    example = re.search(rf"^Example: camtui {name}\b(.*)", described, re.MULTILINE)
    assert example, f"camtui {name} --help has no example"
    GROUP.commands[name].make_context(
        name, shlex.split(example[1])
    )  # every word of it is understood
    for parameter in GROUP.commands[name].params:
        assert getattr(parameter, "help", None), f"camtui {name} {parameter.name}"


def test_every_method_and_metric_has_a_row() -> None:
    for key, method in all_methods().items():
        assert f"| `{key}` | {method.title} (" in PAGES["methods.md"]
        for option in method().options:
            assert f"`{option}=" in PAGES["methods.md"]
    for key, metric in all_metrics().items():
        assert f"| `{key}` | {metric.arrow} |" in PAGES["metrics.md"]


def row_of(option: ProtocolOption) -> str:
    """The line of an option in the table of ``docs/protocol.md``, as ``--help`` has it."""
    (said,) = [
        getattr(one, "help", "") for one in GROUP.commands["run"].params if one.name == option.name
    ]
    text, _, default = said.removesuffix("]").partition("  [default: ")
    of_networks = not hasattr(RunPlan, option.name)
    kept = "" if of_networks else "yes" if option.extendable else "no"
    return f"| `{option.within or option.flag}` | {text} | {default} | {kept} |"


def test_every_option_of_the_protocol_has_its_row() -> None:
    page = PAGES["protocol.md"].splitlines()
    assert [row for option in PROTOCOL.values() if (row := row_of(option)) not in page] == []


def test_every_known_backbone_is_named() -> None:
    assert [key for key in known_backbones() if key not in PAGES["networks.md"]] == []


def test_every_exit_code_of_an_error_is_in_the_table() -> None:
    table = COMMANDS_PAGE.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CamtuiError)
    ]
    assert len(kinds) > 8
    assert [kind for kind in kinds if not re.search(rf"\b{kind.exit_code}\b", table)] == []


def test_every_variable_that_is_read_is_in_the_table() -> None:
    reads = re.compile(
        r"""(?:environ(?:\.get\(|\.pop\(|\[)|(?=["'][A-Z_]+["'] (?:not )?in os\.environ))"""
        r"""["']([A-Z_]+)"""
    )
    files = [path for package in ("camtui", "evaluator") for path in (ROOT / package).rglob("*.py")]
    found = {name for path in files for name in reads.findall(path.read_text())}
    assert {"CAMTUI_HOME", "NO_COLOR", "TMUX"} <= found
    assert {name for name in found - FOR_TESTS if f"`{name}`" not in COMMANDS_PAGE} == set()


def anchors(page: Path) -> set[str]:
    """What may stand behind ``#``: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", ["../README.md", *PAGES])
def test_links_lead_somewhere(page: str) -> None:
    source = ROOT / "docs" / page
    for link in re.findall(r"\]\(([^)]+)\)", source.read_text()):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = source.parent / name if name else source
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_stands_on_a_shelf() -> None:
    shelves = re.findall(r"\]\(([^)]+)\)", PAGES["README.md"])
    assert sorted(shelves) == sorted(set(PAGES) - {"README.md"})
    site = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    assert re.findall(r": (\S+\.md)$", site, re.MULTILINE) == ["README.md", *shelves]


def of_an_axis(package: ModuleType) -> list[ModuleType]:
    """The methods, the metrics …: one file each."""
    names = [info.name for info in iter_modules(package.__path__)]
    return [import_module(f"{package.__name__}.{name}") for name in names]


AXES = (
    evaluator.methods,
    evaluator.metrics,
    evaluator.networks.families,
    evaluator.sources,
    evaluator.truth,
)
SHARED = {
    "evaluator.methods.base",
    "evaluator.metrics.base",
    "evaluator.metrics.curves",
    "evaluator.sources.base",
    "evaluator.sources.archive",
}
"""What the files of an axis are made of; ``camtui.extend`` has examples of it."""

MODULES = [
    *(one for axis in AXES for one in of_an_axis(axis) if one.__name__ not in SHARED),
    imputation,
    extend,
]


def examples(module: ModuleType) -> Iterator[doctest.DocTest]:
    """The docstrings that have some."""
    return (found for found in doctest.DocTestFinder().find(module) if found.examples)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_class_of_an_axis_has_examples_that_run(module: ModuleType) -> None:
    with_examples = {found.name.removeprefix(f"{module.__name__}.") for found in examples(module)}
    classes = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and name[0] != "_"
    }
    assert classes <= with_examples
    assert with_examples, "a function then"
    runner = doctest.DocTestRunner()
    assert [found.name for found in examples(module) if runner.run(found).failed] == []
