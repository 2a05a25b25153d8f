"""Which deliberate faults the tests do not notice.

Mutation testing of metrics, store and scheduler with cosmic-ray.

    pip install cosmic-ray
    # all modules, two at a time, about half an hour on two cores
    python benchmarks/mutants.py
    python benchmarks/mutants.py evaluator/metrics

Every mutant lives in a copy of the working tree and meets the tests of its own module only. Prints
a line a module and each of its survivors as a diff; ``benchmarks/mutants.md`` says what
became of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

TESTS = {
    "evaluator/metrics": "tests/evaluator/metrics",
    "evaluator/statistics.py": "tests/evaluator/test_statistics.py",
    "evaluator/measuring/saliency.py": "tests/evaluator/measuring/test_saliency.py",
    "evaluator/measuring/curve_tracing.py": "tests/evaluator/measuring/test_curve_tracing.py",
    "evaluator/measuring/optional_metrics.py": "tests/evaluator/measuring/test_metric_values.py",
    "evaluator/execution/schedule.py": "tests/evaluator/execution/test_schedule.py",
    "evaluator/execution/stages.py": "tests/evaluator/execution/test_stages.py",
    "evaluator/execution/failures.py": "tests/evaluator/execution/test_bisection.py",
    "evaluator/execution/worker.py": "tests/evaluator/execution/test_checking.py",
    "evaluator/store/writer.py": "tests/evaluator/store",
    "evaluator/store/sums.py": "tests/evaluator/store",
    "evaluator/store/queries.py": "tests/evaluator/store",
    "evaluator/store/audit.py": "tests/evaluator/store",
}

CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = 20.0
excluded-modules = ["**/__init__.py"]
test-command = "{python} -m pytest -n 0 -x -q -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = [
    'core/ReplaceBinaryOperator_(?!(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|Pow_Mul)$).*',
    'core/ReplaceComparisonOperator_(?!(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_GtE|LtE_Gt|Gt_LtE|GtE_Lt|Is_IsNot|IsNot_Is)$).*',
    'core/ReplaceUnaryOperator_.*Invert.*',
]
"""
"""One change of an operator each way; the many others that cosmic-ray knows mostly fail in the same
places.
"""


class Mutants(NamedTuple):
    """What became of the mutants of one module; the survivors as diffs."""

    module: str
    number: int
    survivors: list[str]


def mutate(module: str) -> Mutants:
    """Every mutant of a module, or of a package, one after another, in a copy of the tree."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(
            ROOT,
            tree,
            ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__"),
            symlinks=True,
        )
        (Path(folder) / "shared").symlink_to(ROOT.parent / "shared")
        (tree / "mutants.toml").write_text(
            CONFIG.format(module=module, python=sys.executable, tests=TESTS[module])
        )
        for step in (
            "cosmic-ray init mutants.toml s.sqlite",
            "cr-filter-operators s.sqlite mutants.toml",
            "cosmic-ray baseline mutants.toml",
            "cosmic-ray exec mutants.toml s.sqlite",
        ):
            subprocess.run(
                [Path(sys.executable).parent / step.split()[0], *step.split()[1:]],
                cwd=tree,
                check=True,
                env=quiet(),
            )
        lines = subprocess.check_output(
            [Path(sys.executable).parent / "cosmic-ray", "dump", "s.sqlite"], cwd=tree, text=True
        )
    done = [
        result
        for _, result in map(json.loads, lines.splitlines())
        if result and result["worker_outcome"] == "normal"
    ]
    return Mutants(
        module,
        len(done),
        [result["diff"] for result in done if result["test_outcome"] == "survived"],
    )


def quiet() -> dict[str, str]:
    """One thread each: two modules are mutated at a time."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def main() -> None:
    """Print the modules as they come, each with its survivors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", choices=[[], *TESTS], help="; ".join(TESTS))
    modules = parser.parse_args().modules or list(TESTS)
    total = alive = 0
    with ThreadPoolExecutor(2) as pool:
        for mutants in pool.map(mutate, modules):
            print(
                f"{mutants.module:36} {mutants.number:5} mutants {len(mutants.survivors):4} "
                "survived",
                flush=True,
            )
            print(*mutants.survivors, sep="\n", flush=True)
            total, alive = total + mutants.number, alive + len(mutants.survivors)
    print(f"{'together':36} {total:5} mutants {alive:4} survived")


if __name__ == "__main__":
    main()
