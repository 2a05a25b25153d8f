"""Orders of methods under protocols, against scipy; runs that do not belong together are refused by
what differs.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, rankdata, ttest_rel

from camtui.ranks import Ranks, kendall_w, ranks_of
from evaluator.errors import CamtuiError, Mismatch, NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.statistics import harmonic_adcc
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("fakecam", "gradcam", "xgradcam", "gradcampp", "scorecam", "layercam", "eigencam")
RANKED = [method for method in METHODS if method not in ("fakecam", "xgradcam")]
"""On a GAP head XGrad-CAM is Grad-CAM."""

PROTOCOLS: dict[str, tuple[float, dict[str, object]]] = {
    "usual": (0.0, {}),
    "pixels": (-0.3, {"masking": "pixels"}),
    "blur": (0.02, {"removed": "blur"}),
    "label": (0.3, {"target": "label"}),
    "both": (0.3, {"masking": "pixels", "target": "label"}),
    "steps": (0.05, {"curve_steps": 56}),
}
"""Name of a run → what is added to its drops, and its plan."""


def run(folder: Path, name: str, **options: object) -> RunReader:
    shift, plan = PROTOCOLS.get(name, (0.0, {"masking": "pixels"}))
    settings: dict[str, object] = {"methods": METHODS, "backbones": ["resnet18"], **options}
    made = make_run(folder / f"{name}.db", data=folder, shift=shift, plan=plan, **settings)  # type: ignore[arg-type]  # keyword bag of a test
    return RunReader(made)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> list[RunReader]:
    folder = tmp_path_factory.mktemp("protocols")
    return [run(folder, name, images=200) for name in PROTOCOLS]


def ranks(readers: list[RunReader], *metrics: str) -> Ranks:
    return ranks_of(readers, [all_metrics()[key] for key in metrics])


def columns(reader: RunReader, method: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Drop, coherency and complexity of each image that has all of them, ``[images, 3]``."""
    cell = next(cell.id for cell in reader.cells() if cell.method == method)
    return np.array(
        [
            (row.average_drop, row.coherency, row.complexity)
            for row, _, _ in sorted(reader.rows.of_cell(cell), key=lambda one: one[0].image)
            if row.average_drop is not None
        ]
    )


def test_pairs_are_those_of_scipy(readers: list[RunReader]) -> None:
    (found,) = ranks(readers, "average_drop").rankings
    pairs = list(combinations(RANKED, 2))
    assert [(one.first, one.second) for one in found.pairs] == pairs
    expected: dict[tuple[str, str], list[str]] = {pair: [] for pair in pairs}
    for reader in readers:
        drops = {method: columns(reader, method)[:, 0] for method in RANKED}
        p = {(a, b): float(ttest_rel(drops[a], drops[b]).pvalue) for a, b in pairs}
        fallen: list[tuple[str, str]] = []
        for place, pair in enumerate(sorted(p, key=lambda pair: p[pair])):
            if p[pair] > 0.05 / (len(pairs) - place):
                break
            fallen.append(pair)
        for a, b in pairs:
            lower = drops[a].mean() < drops[b].mean()
            verdict = ("better" if lower else "worse") if (a, b) in fallen else "tie"
            expected[a, b].append(verdict)
    assert {(one.first, one.second): list(one.verdicts) for one in found.pairs} == expected
    for one in found.pairs:
        assert (one.better, one.worse, one.tied, one.untested) == (
            *(one.verdicts.count(verdict) for verdict in ("better", "worse", "tie", "untested")),
        )
    assert {"better", "worse", "tie"} == {
        verdict for one in found.pairs for verdict in one.verdicts
    }


def test_orders_are_those_of_scipy(readers: list[RunReader]) -> None:
    """Friedman's χ² of n methods in m runs is m (n − 1) W, ties corrected for."""
    (found,) = ranks(readers, "adcc").rankings
    scores = np.array(
        [
            [harmonic_adcc(*columns(reader, method).mean(0)) for reader in readers]
            for method in RANKED
        ]
    )
    assert [one.method for one in found.methods] == RANKED
    assert [one.averages for one in found.methods] == [
        pytest.approx(tuple(one), abs=1e-9) for one in scores
    ]
    orders = rankdata(-scores, axis=0)
    assert [list(one.ranks) for one in found.methods] == orders.tolist()
    chi = friedmanchisquare(*scores).statistic
    assert found.w == pytest.approx(chi / (len(readers) * (len(RANKED) - 1)))
    assert 0 < (found.w or 0) < 1


def test_tied_ranks_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 3, (5, 4))
    orders = [rankdata(one).tolist() for one in values.T]
    chi = friedmanchisquare(*values).statistic
    assert kendall_w(orders) == pytest.approx(chi / (4 * 4))
    assert kendall_w([[1.5, 1.5], [1.5, 1.5]]) is None


def test_which_choice_turns_a_pair_round(readers: list[RunReader]) -> None:
    """Score-CAM keeps the most confidence; where drops are small, simpler maps win."""
    found = ranks(readers, "adcc")
    assert [one.run for one in found.runs] == list(PROTOCOLS)
    assert found.runs[4].choices == {
        "masking": "pixels",
        "removed": "zero",
        "target": "label",
        "curve_steps": "28",
    }
    pair = next(
        one
        for one in found.rankings[0].pairs
        if (one.first, one.second) == ("scorecam", "eigencam")
    )
    verdicts = dict(zip(PROTOCOLS, pair.verdicts, strict=True))
    assert (verdicts["pixels"], verdicts["label"], verdicts["both"]) == (
        "worse",
        "better",
        "better",
    )
    assert "target" in pair.flipped_by, "pixels and both differ in the target alone"
    assert not any("target" in one and one != "target" for one in pair.flipped_by)
    steady = [one for one in found.rankings[0].pairs if one.steady]
    assert all(not one.flipped_by for one in steady)


def test_a_choice_that_a_metric_does_not_depend_on_flips_nothing_in_it(tmp_path: Path) -> None:
    """Masking and removed state change at once; ADCC is of no removed state."""
    protocols = {"usual": (0.3, {}), "other": (-0.3, {"masking": "pixels", "removed": "blur"})}
    both = [
        RunReader(
            make_run(
                tmp_path / f"{name}.db",
                images=200,
                methods=("scorecam", "eigencam"),
                backbones=["resnet18"],
                shift=shift,
                plan=plan,
            )
        )
        for name, (shift, plan) in protocols.items()
    ]
    found = ranks(both, "adcc")
    assert found.runs[1].choices == {"removed": "blur", "masking": "pixels"}
    (pair,) = found.rankings[0].pairs
    assert (pair.better, pair.worse, pair.flipped_by) == (1, 1, ("masking",))


def test_methods_without_a_number_in_some_run_are_named(tmp_path: Path) -> None:
    partial = {"resnet18/scorecam": 0}
    both = [run(tmp_path, "usual"), run(tmp_path, "pixels", partial=partial)]
    (found,) = ranks(both, "adcc").rankings
    assert found.lacking == ("scorecam",)
    assert len(found.methods) == len(RANKED) - 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 3}, r"data: 0+ → 0+; seed: 0 → 3"),
        ({"images": 30}, "images: 40 → 30"),
        ({"backbones": ["vgg16"]}, "networks: resnet18 → vgg16"),
        ({"methods": ("gradcam", "gradcampp")}, "methods: eigencam, .* → gradcam, gradcampp"),
    ],
)
def test_runs_that_do_not_belong_together(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(Mismatch, match=said):
        ranks([run(tmp_path, "usual"), run(tmp_path, "other", **options)], "adcc")


def test_layers_may_differ(tmp_path: Path) -> None:
    both = [run(tmp_path, "usual"), run(tmp_path, "other", backbones=["resnet18:layer=layer3"])]
    with pytest.raises(Mismatch, match="weights of resnet18"):
        ranks(both, "adcc")
    same = "UPDATE backbones SET loaded = json_set(loaded, '$.sha256', 'same')"
    for name in ("usual", "other"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection, connection:
            connection.execute(same)
    found = ranks(both, "adcc")
    assert [one.choices["layer"] for one in found.runs] == ["layer4", "layer3"]
    assert [one.backbone for one in found.rankings] == ["resnet18"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [(["usual"], UsageError), (["usual", "usual"], UsageError), (["usual", "few"], NotFound)],
)
def test_what_cannot_be_ranked(tmp_path: Path, names: list[str], kind: type[CamtuiError]) -> None:
    few = {f"resnet18/{method}": 0 for method in METHODS}
    made = {
        name: run(tmp_path, name, **({"partial": few} if name == "few" else {}))
        for name in dict.fromkeys(names)
    }
    with pytest.raises(kind):
        ranks([made[name] for name in names], "adcc")
