from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from scipy.stats import kendalltau

from camtui.judging import CHANCE, Agreement, Judgement
from camtui.judging.judgement import JudgeOptions, MetricJudge, Values, judge
from evaluator.errors import NotFound
from evaluator.metrics import all_metrics
from evaluator.records import Cell
from tests.camtui.judging.runs import IMAGES, METHODS, Numbers, judged_run, ordered

FEW = JudgeOptions(draws=200)


def judged(
    path: Path,
    cells: Mapping[str, Numbers],
    *,
    gap_linear: bool = False,
    chosen: JudgeOptions = FEW,
) -> list[Judgement]:
    with judged_run(path, cells, gap_linear=gap_linear) as reader:
        return judge(reader, chosen)


def agreement(one: Judgement, metric: str, truth: str = "mass_accuracy") -> Agreement:
    (found,) = [a for a in one.agreement if a.metric == metric and a.truth == truth]
    return found


def test_a_metric_that_orders_as_the_truth_does_and_one_that_does_the_opposite(
    tmp_path: Path,
) -> None:
    (one,) = judged(tmp_path / "a.db", ordered())
    assert one.methods == METHODS
    for metric, tau in (("deletion", 1), ("insertion", -1), ("coherency", 0)):
        found = agreement(one, metric)
        assert found.per_image.value == pytest.approx(tau)
        assert found.of_averages.value == pytest.approx(tau)
        assert found.per_image.n == IMAGES
        assert (found.per_image.low, found.per_image.high) == pytest.approx((tau, tau))


def test_tau_is_scipy_s_image_by_image_and_of_the_averages(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    true, drop = rng.random((2, len(METHODS), IMAGES))
    drop = np.round(drop * 3) / 3  # ties
    cells = {
        f"vgg16/{method}": {
            "mass_accuracy": [*map(float, true[k])],
            "average_drop": [*map(float, drop[k])],
        }
        for k, method in enumerate(METHODS)
    }
    (one,) = judged(tmp_path / "a.db", cells)
    taus = np.nan_to_num([kendalltau(-drop[:, i], true[:, i]).statistic for i in range(IMAGES)])
    found = agreement(one, "average_drop")
    assert found.per_image.value == pytest.approx(taus.mean())
    assert found.of_averages.value == pytest.approx(
        kendalltau(-drop.mean(1), true.mean(1)).statistic
    )
    error = taus.std() / IMAGES**0.5
    assert found.per_image.high is not None
    assert found.per_image.low is not None
    assert found.per_image.high - found.per_image.low == pytest.approx(3.92 * error, rel=0.2)
    assert found.of_averages.low is not None
    assert found.of_averages.low < 1


def test_an_image_without_truth_or_without_a_value_counts_in_nothing(tmp_path: Path) -> None:
    cells = ordered()
    spoilt = {
        name: {key: [*column] for key, column in numbers.items()} for name, numbers in cells.items()
    }
    for numbers in spoilt.values():
        numbers["mass_accuracy"][3] = None
    spoilt["vgg16/layercam"]["deletion"][5] = None
    (one,) = judged(tmp_path / "a.db", spoilt)
    assert agreement(one, "deletion").per_image.n == IMAGES - 2
    assert agreement(one, "insertion").per_image.n == IMAGES - 1
    assert agreement(one, "deletion").of_averages.value == pytest.approx(1)


def test_controls_are_not_ranked_and_it_is_counted_how_often_they_win(tmp_path: Path) -> None:
    cells = ordered(noise=0)
    best = 0.5
    cells["vgg16/fakecam"] = {
        "mass_accuracy": [0.1] * IMAGES,
        "deletion": [1 - best - 0.1] * 10
        + [1 - best] * (IMAGES - 10),  # better on ten images, equal on the others
        "insertion": [0.0] * IMAGES,
    }
    (one,) = judged(tmp_path / "a.db", cells)
    assert one.controls == ("fakecam",)
    assert one.methods == METHODS
    wins = {won.metric: won for won in one.control_wins}
    assert wins["deletion"].share.value == pytest.approx(10 / IMAGES)
    assert wins["deletion"].on_average is True
    assert wins["deletion"].share.low is not None
    assert 0.1 < wins["deletion"].share.low < 0.25
    assert (wins["insertion"].share.value, wins["insertion"].on_average) == (0, False)
    assert wins["mass_accuracy"].share.value == 0
    assert wins["deletion"].chance == 1 / (len(METHODS) + 1)


def test_maps_of_the_wrong_class_and_of_random_weights_are_set_against_the_right_ones(
    tmp_path: Path,
) -> None:
    cells = ordered(noise=0)
    count = IMAGES // 2
    right = cells["vgg16/gradcam"]["deletion"]
    cells["vgg16/wrongclass"] = {
        "mass_accuracy": [0.0] * IMAGES,
        "deletion": [
            value + 0.1 if i < count else value
            for i, value in enumerate(right)
            if value is not None
        ],
        "insertion": [0.9] * IMAGES,
    }
    for method in METHODS:
        numbers = cells[f"vgg16/{method}"]
        cells[f"vgg16:weights=random:0/{method}"] = {**numbers, "mass_accuracy": [0.05] * IMAGES}
    (one,) = judged(tmp_path / "a.db", cells)
    assert "wrongclass" not in (*one.methods, *one.controls)
    found = {(s.metric, s.against): s for s in one.sensitivity}
    wrong = found["deletion", "wrong class"]
    assert wrong.methods == ("gradcam",)
    assert wrong.fall.value == pytest.approx(0.05)
    assert wrong.noticed.value == pytest.approx(0.75)  # half of the images worse, half equal
    random = found["deletion", "random weights"]
    assert random.methods == METHODS
    assert (random.fall.value, random.noticed.value) == pytest.approx((0, 0.5))
    assert found["mass_accuracy", "random weights"].fall.value == pytest.approx(0.35 - 0.05)
    assert found["mass_accuracy", "random weights"].noticed.value == 1
    assert found["insertion", "wrong class"].fall.value == pytest.approx(0.8 - 0.9)


def test_two_halves_agree_better_the_more_images_they_have(tmp_path: Path) -> None:
    (one,) = judged(tmp_path / "a.db", ordered(images=200, noise=0.3))
    taus = {s.images: s.tau.value for s in one.stability if s.metric == "mass_accuracy"}
    assert list(taus) == [5, 10, 20, 50, 100]
    assert None not in taus.values()
    assert taus[5] < taus[20] < taus[100]  # type: ignore[operator]  # none of them is None
    assert {s.tau.value for s in one.stability if s.metric == "coherency"} == {None}, (
        "it ties all methods: there is no order"
    )


def test_equal_maps_count_once(tmp_path: Path) -> None:
    cells = ordered(methods=("gradcam", "xgradcam", "layercam", "scorecam"))
    cells["vgg16/xgradcam"] = cells["vgg16/gradcam"]
    (one,) = judged(tmp_path / "a.db", cells, gap_linear=True)
    assert one.methods == ("gradcam", "layercam", "scorecam")
    assert one.twins == {"xgradcam": "gradcam"}
    (other,) = judged(tmp_path / "b.db", cells, gap_linear=False)
    assert len(other.methods) == 4


def test_a_metric_that_some_methods_lack_is_judged_on_the_others_and_they_are_named(
    tmp_path: Path,
) -> None:
    cells = ordered()
    cells["vgg16/scorecam"] = {
        key: column for key, column in cells["vgg16/scorecam"].items() if key != "deletion"
    }
    (one,) = judged(tmp_path / "a.db", cells)
    assert one.lacking == {"deletion": ("scorecam",)}
    assert agreement(one, "deletion").per_image.value == pytest.approx(1)
    assert agreement(one, "deletion").per_image.n == IMAGES
    for name in ("vgg16/gradcampp", "vgg16/layercam"):
        cells[name] = {key: column for key, column in cells[name].items() if key != "deletion"}
    (few,) = judged(tmp_path / "b.db", cells)
    assert "deletion" not in {found.metric for found in few.agreement} | {
        found.metric for found in few.stability
    }


def test_the_same_seed_gives_the_same_judgement(tmp_path: Path) -> None:
    with judged_run(tmp_path / "a.db", ordered(noise=0.2)) as reader:
        assert judge(reader, FEW) == judge(reader, FEW)
        assert judge(reader, FEW) != judge(reader, JudgeOptions(draws=200, seed=1))


def test_a_run_without_truth_or_with_one_method_is_refused(tmp_path: Path) -> None:
    cells = {"vgg16/gradcam": {"deletion": [0.1, 0.2]}, "vgg16/layercam": {"deletion": [0.1, 0.2]}}
    with (
        judged_run(tmp_path / "a.db", cells, truth=False) as reader,
        pytest.raises(NotFound, match="no measure of truth"),
    ):
        judge(reader)
    alone = {"vgg16/gradcam": {"mass_accuracy": [0.1, 0.2]}}
    with (
        judged_run(tmp_path / "b.db", alone) as reader,
        pytest.raises(NotFound, match="fewer than two methods"),
    ):
        judge(reader)


def test_a_thousand_images_by_twenty_methods_by_ten_metrics_take_seconds() -> None:
    """The statistics alone: reading is counted in ``tests/evaluator/store``."""
    rng = np.random.default_rng(0)
    cells = [Cell(k, "vgg16", "gradcam", True, "") for k in range(20)]
    metrics = [*all_metrics()][:10]
    columns = {
        (metric, cell.id): rng.random(1000)
        for metric in [*metrics, "mass_accuracy"]
        for cell in cells
    }
    begun = process_time()
    bench = MetricJudge(Values(columns, 1000), JudgeOptions())
    found = [*bench.agreement([*metrics, "mass_accuracy"], cells), *bench.stability(metrics, cells)]
    found += [*bench.control_wins(metrics, cells[3:], cells[:3])]
    assert process_time() - begun < 20
    assert found


def test_what_is_noticed_of_a_map_that_never_changes_is_the_networks(tmp_path: Path) -> None:
    """Insertion is worse on the random network whatever the map: nothing of it is the maps'."""
    cells = ordered(noise=0)
    for control in ("centre", "fakecam", "randomcam"):
        cells[f"vgg16/{control}"] = {
            "mass_accuracy": [0.3] * IMAGES,
            "deletion": [0.5] * IMAGES,
            "insertion": [0.5] * IMAGES,
        }
    for name in [*METHODS, "centre", "fakecam", "randomcam"]:
        numbers = cells[f"vgg16/{name}"]
        random = {**numbers, "insertion": [0.01] * IMAGES}
        if name in METHODS:  # the maps are worse too, on every second image
            worse = [0.01 if i % 2 else value for i, value in enumerate(numbers["mass_accuracy"])]
            random["mass_accuracy"] = worse
        cells[f"vgg16:weights=random:0/{name}"] = random
    (one,) = judged(tmp_path / "a.db", cells)
    found = {s.metric: s for s in one.sensitivity if s.against == "random weights"}
    for metric in ("insertion", "mass_accuracy", "deletion"):
        assert [null.control for null in found[metric].null_controls] == ["centre", "fakecam"]
    for null in found["insertion"].null_controls:
        assert (null.noticed.value, null.excess.value) == (1, 0)
        assert null.fall.value == pytest.approx(0.49)
    assert found["insertion"].noticed.value == 1
    for null in found["mass_accuracy"].null_controls:
        assert (null.noticed.value, null.fall.value) == (CHANCE, 0)
        assert null.excess.value == pytest.approx(0.25)
        assert null.excess.low is not None
        assert 0.15 < null.excess.low < 0.25
        assert null.excess.n == IMAGES


def test_without_a_fixed_map_on_both_networks_there_is_no_null_control(tmp_path: Path) -> None:
    cells = ordered(noise=0)
    cells["vgg16/centre"] = cells["vgg16/gradcam"]
    for method in METHODS:
        cells[f"vgg16:weights=random:0/{method}"] = cells[f"vgg16/{method}"]
    (one,) = judged(tmp_path / "a.db", cells)
    assert one.sensitivity
    assert all(not found.null_controls for found in one.sensitivity)
