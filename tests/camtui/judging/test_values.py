from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camtui.judging.judgement import headline, read_values
from evaluator.catalog import metric
from evaluator.statistics import harmonic_adcc
from tests.camtui.judging.runs import Numbers, judged_run


def test_columns_are_in_the_order_of_the_run_and_what_is_missing_is_no_number(
    tmp_path: Path,
) -> None:
    cells: dict[str, Numbers] = {
        "vgg16/gradcam": {"deletion": [0.1, None, 0.3], "average_drop": [0.0, None, 0.5]},
        "vgg16/layercam": {"deletion": [0.4, 0.5, 0.6]},
    }
    with judged_run(tmp_path / "a.db", cells, truth=False) as reader:
        both = reader.cells()
        values = read_values(reader, both, [metric("deletion"), metric("adcc")])
    expected = np.array([[0.1, np.nan, 0.3], [0.4, np.nan, 0.6]])
    assert values.of("deletion", both) == pytest.approx(expected, nan_ok=True)
    assert values.of("deletion", both[1:]) == pytest.approx(np.array([[0.4, 0.5, 0.6]]))
    assert values.has("deletion", both)
    assert not values.has("insertion", both)
    drop, coherency, complexity = values.parts("adcc", both)
    assert drop == pytest.approx(np.array([[0.0, np.nan, 0.5], [0.2, np.nan, 0.2]]), nan_ok=True)
    assert np.isnan(coherency[:, 1]).all(), "the averages of a headline are over the same images"
    assert complexity[:, 0] == pytest.approx(0.3)


def test_the_headline_is_the_harmonic_mean_of_averages() -> None:
    parts = [
        np.array([0.2, 0.2, 0.2, 0.2]),
        np.array([0.9, 0.0, np.nan, 0.5]),
        np.array([0.3, 0.3, 0.3, 1.0]),
    ]
    found = headline("adcc", parts)
    expected = [harmonic_adcc(0.2, 0.9, 0.3), 0.0, np.nan, 0.0]
    assert found == pytest.approx(np.array(expected), nan_ok=True)
    road = headline(
        "arcc", [np.array([0.9, 0.9, 0.9]), np.array([0.4, 0.4, 0.4]), np.array([0.3, 0.7, -0.1])]
    )
    assert road == pytest.approx(
        [3 / (1 / 0.9 + 1 / 0.6 + 1 / 0.6), 3 / (1 / 0.9 + 1 / 0.6 + 1), 0]
    )
    assert headline("deletion", [np.array([0.5])]).tolist() == [0.5]
