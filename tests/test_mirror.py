"""Tests mirror the sources path for path: ``camtui/paper.py`` has ``tests/camtui/test_paper.py``,
or it says here where.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("camtui", "evaluator")

TESTED_IN = {
    "camtui/cli/commands/test_bench.py": "evaluator.measuring.throughput",
    "camtui/cli/commands/test_compare.py": "camtui.cli.comparison_tables",
    "camtui/cli/commands/test_copy.py": "evaluator.store.copying",
    "camtui/cli/commands/test_doctor.py": "camtui.devices camtui.versions",
    "camtui/cli/commands/test_judge.py": "camtui.export.judged",
    "camtui/cli/commands/test_methods.py": "camtui.cli.commands.backbones",
    "camtui/cli/commands/test_run.py": """
        camtui.cli.dry_run camtui.cli.progress_lines camtui.executors""",
    "camtui/cli/commands/test_schema.py": """camtui.payloads.schemas camtui.payloads.catalog
        camtui.payloads.common camtui.payloads.comparisons camtui.payloads.judgements
        camtui.payloads.results camtui.payloads.runs""",
    "camtui/cli/commands/test_table.py": "camtui.cli.tables",
    "camtui/cli/test_app.py": """
        camtui.cli camtui.cli.command camtui.cli.options camtui.cli.run_options""",
    "camtui/figures/test_charts.py": "camtui.cli.commands.figure",
    "camtui/figures/test_report.py": "camtui.cli.commands.report camtui.export.plan_toml",
    "camtui/figures/test_sheet.py": "camtui.cli.commands.image",
    "camtui/export/test_latex.py": "camtui.format.names",
    "camtui/export/test_init.py": "camtui.export.records",
    "camtui/format/test_select.py": "camtui.format.terms",
    "camtui/tui/test_overview.py": "camtui.tui.worst_image",
    "camtui/test_missing_weights.py": "evaluator.networks.fetching",
    "camtui/tui/screens/test_help.py": "camtui.tui.legend",
    "camtui/test_own_network.py": "camtui.backbone_check evaluator.measuring.network_check",
    "camtui/tui/screens/test_cell.py": """
        camtui.tui.cell_text camtui.tui.image_list camtui.tui.run_connection
        camtui.tui.widgets.lines""",
    "camtui/tui/screens/test_grid.py": "camtui.tui.screens.base camtui.tui.paper_values",
    "camtui/tui/test_availability.py": "camtui.tui.toasts",
    "camtui/tui/screens/test_runs.py": "camtui.tui.screens.compare",
    "camtui/tui/screens/test_image.py": "camtui.tui.image_text camtui.tui.image_pictures "
    "camtui.tui.screens.full",
    "camtui/tui/test_run_actions.py": "camtui.tui.screens.dialogs camtui.tui.child_commands",
    "camtui/tui/test_live.py": "camtui.tui.run_watcher",
    "camtui/tui/test_snapshots.py": "camtui.tui.image_record",
    "camtui/tui/widgets/test_table.py": "camtui.tui.messages camtui.tui.widgets.table_drawing",
    "evaluator/measuring/test_conformance.py": """
        evaluator.measuring.photographs evaluator.measuring.trial evaluator.measuring.verdicts""",
    "evaluator/execution/test_loop.py": """
        evaluator.execution.backbone_registration evaluator.execution.cell_descriptions
        evaluator.execution.failure_count evaluator.execution.progress_record""",
    "evaluator/execution/test_driver.py": """
        evaluator.execution.driver_session evaluator.execution.preparation
        evaluator.execution.stopping evaluator.store.identity""",
    "evaluator/execution/test_executors.py": "evaluator.execution.worker_slot",
    "evaluator/execution/test_ray_executor.py": "evaluator.execution.ray_calls",
    "evaluator/execution/test_ray.py": """
        evaluator.execution.ray_actor evaluator.execution.ray_cluster
        evaluator.execution.ray_connection evaluator.execution.private_ray""",
    "evaluator/test_plan_validation.py": "evaluator.errors evaluator.backbone_options",
    "evaluator/measuring/test_pipeline.py": "evaluator.measuring.maps "
    "evaluator.measuring.views evaluator.records",
    "evaluator/measuring/test_session.py": "evaluator.measuring.image_loading "
    "evaluator.measuring.unit_results",
    "evaluator/methods/test_eigengradcam.py": "evaluator.methods.principal",
    "evaluator/networks/test_backbone_loading.py": "evaluator.networks.building",
    "evaluator/networks/test_bfloat16_copy.py": "evaluator.networks.batch_norm_folding",
    "evaluator/test_user_code.py": "evaluator.code_importer",
    "evaluator/networks/test_graph_cut.py": "evaluator.networks.tracing",
    "evaluator/store/test_checksums.py": "evaluator.store.sealing",
    "evaluator/store/test_reader.py": """
        evaluator.store.columns evaluator.store.images evaluator.store.readonly
        evaluator.store.rows""",
    "evaluator/store/test_audit.py": "evaluator.store.repairs",
    "evaluator/store/test_row_writer.py": "evaluator.store.running_sums evaluator.store.sums",
    "evaluator/store/test_writable.py": "evaluator.store.disk_space",
}
"""Test file → modules that have none of their own, each one part of what is tested there as a
whole.
"""

TESTED_ELSEWHERE = {
    module: Path("tests") / test
    for test, modules in TESTED_IN.items()
    for module in modules.split()
}

NO_MODULE = {
    "camtui/test_own_network.py": "a network of the user's own through every command",
    "camtui/figures/test_report_in_browser.py": "the report as a browser shows and prints it; "
    "needs Chromium",
    "camtui/cli/test_run_without_rows.py": "the reading commands on a run without anything",
    "camtui/cli/test_error_messages.py": "every command on words that are wrong",
    "camtui/cli/test_escapes.py": "every command against names that would take over a terminal",
    "camtui/cli/test_exit_codes.py": "every command's exit code",
    "camtui/cli/test_hang_up.py": "terminals that go away, whatever runs in them",
    "camtui/cli/test_until.py": "runs that end by their rule, as a user types and reads them",
    "camtui/tui/test_control.py": "the dashboard's actions on a real driver",
    "camtui/tui/test_hostile.py": "every screen on hostile and unlucky runs",
    "camtui/tui/test_live.py": "every screen while a run goes on",
    "camtui/tui/test_snapshots.py": "every screen as a picture",
    "camtui/tui/test_terminal.py": "the dashboard in a real terminal",
    "evaluator/execution/test_bad_images.py": "a whole run on files that are trouble",
    "evaluator/execution/test_disk.py": "a whole run on a disk that fills up",
    "evaluator/execution/test_executors.py": "one contract for every executor",
    "evaluator/execution/test_faults.py": "whole runs whose processes are killed, hang or run out",
    "evaluator/execution/test_identity.py": "whole runs whose images, rows and files are "
    "changed by others",
    "evaluator/execution/test_memory.py": "a whole run that runs out of memory",
    "evaluator/execution/test_ray.py": "whole runs on Ray; needs the extra",
    "evaluator/execution/test_real_kills.py": "a real evaluation killed again and again; minutes",
    "evaluator/networks/test_gpu.py": "needs a CUDA device",
    "evaluator/store/test_damage.py": "every reading command on damaged files",
    "evaluator/store/test_earlier_versions.py": "files of earlier schemas through every door",
    "evaluator/test_conformance.py": "a whole run against an independent implementation",
    "evaluator/test_placement.py": "every method and metric on a pretended CUDA device",
    "evaluator/test_statistics_on_images.py": "a bootstrap over real images; minutes",
    "evaluator/test_stopping_simulation.py": "thousands of runs that end by their rule, drawn "
    "from real rows",
    "evaluator/test_import_contracts.py": "what imports what, in all packages",
    "test_adding.py": "what an author of methods does to both packages",
    "test_documented.py": "the README against both packages",
    "test_mirror.py": "this file",
    "test_public_surface.py": "the names of both packages that others lean on",
    "test_own_code.py": "what an author of methods does outside both packages, and whose code runs",
    "test_services.py": "the service files of docs/",
    "test_wheel.py": "both packages as they are installed",
}
"""Test file → why there is no module of its name."""


def dotted(file: Path) -> str:
    """``camtui/format/__init__.py`` → ``camtui.format``."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules() -> dict[str, Path]:
    return {
        dotted(file): file
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
    }


def mirrored(file: Path) -> Path:
    """The test file of a module; that of a package is ``test_init.py``."""
    return Path("tests") / file.relative_to(ROOT).with_name(f"test_{file.stem.strip('_')}.py")


def of_module(test: Path) -> Path:
    """The module of a test file."""
    stem = test.stem.removeprefix("test_")
    return ROOT / test.relative_to("tests").with_name(
        "__init__.py" if stem == "init" else f"{stem}.py"
    )


def files_of_tests() -> list[Path]:
    return [file.relative_to(ROOT) for file in sorted((ROOT / "tests").rglob("test_*.py"))]


def has_logic(file: Path) -> bool:
    """Whether a function does anything: fields, constants and protocols have nothing to test."""
    return any(
        not isinstance(last, ast.Raise)
        and not (isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for last in node.body[-1:]
    )


@cache
def named(file: Path) -> frozenset[str]:
    """Modules that a file imports, anywhere in it, or names in a string, as for ``python -m``;
    tests run commands by word.
    """
    found: set[str] = set()
    tree = ast.parse(file.read_text())
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in docstrings
        ):
            found |= set(re.findall(r"\b(?:camtui|evaluator)(?:\.\w+)+", node.value))
            if file.name.startswith("test_"):
                found |= {f"camtui.cli.commands.{word}" for word in node.value.split()}
    return frozenset(found)


def reached(test: Path) -> set[str]:
    """Modules that a test names, and those that they import in turn."""
    files = modules() | {dotted(file): file for file in (ROOT / "tests").rglob("*.py")}
    seen: set[str] = set()
    waiting = [dotted(ROOT / test), dotted(ROOT / test.parent / "conftest.py")]
    while waiting:
        module = waiting.pop()
        if module in files and module not in seen:
            seen.add(module)
            waiting += named(files[module])
    return seen


def untested() -> Iterator[str]:
    for module, file in modules().items():
        if (
            module not in TESTED_ELSEWHERE
            and has_logic(file)
            and not (ROOT / mirrored(file)).is_file()
        ):
            yield module


def test_every_module_is_tested_at_its_own_path_or_where_it_says_here() -> None:
    assert list(untested()) == []


def test_every_test_is_at_the_path_of_a_module_or_says_here_why_not() -> None:
    homeless = {
        str(test.relative_to("tests")) for test in files_of_tests() if not of_module(test).is_file()
    }
    assert homeless == set(NO_MODULE)


@pytest.mark.parametrize("module", TESTED_ELSEWHERE)
def test_what_is_tested_elsewhere_is_reached_from_there(module: str) -> None:
    assert module in modules()
    assert not (ROOT / mirrored(modules()[module])).is_file(), "it has a test of its own"
    assert module in reached(TESTED_ELSEWHERE[module])


def test_what_a_test_does_not_reach_is_seen() -> None:
    assert "evaluator.execution.loop" not in reached(Path("tests/camtui/format/test_numbers.py"))
    assert "camtui.cli.commands.stop" not in reached(Path("tests/evaluator/test_text.py"))
