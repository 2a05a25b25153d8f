"""The edge of the bins that hold a page: it must leave out what it can, and never an image of the
page.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.store.queries import RankedImage
from evaluator.store.reader import RunReader
from evaluator.store.schema import HISTOGRAM_BINS, histogram_bin, least_of_bin
from tests.synthetic import make_run


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(
        tmp_path_factory.mktemp("ranking") / "run.db",
        images=60,
        backbones=["resnet18"],
        methods=["gradcam"],
    )


def edge_by_counting(
    values: list[float], ascending: bool, limit: int, after: RankedImage | None
) -> float | None:
    """The first edge with enough images before it, of those in bins that the last page has not
    touched.
    """
    begun = histogram_bin(after.value) if after else None
    bins = [
        place
        for place in map(histogram_bin, values)
        if begun is None or (place > begun if ascending else place < begun)
    ]
    for place in range(HISTOGRAM_BINS) if ascending else reversed(range(HISTOGRAM_BINS)):
        if sum(one <= place if ascending else one >= place for one in bins) >= limit:
            return least_of_bin(place + 1 if ascending else place)
    return None


@pytest.mark.parametrize("metric", ["complexity", "coherency", "average_drop"])
@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 7, 30, 59, 60])
def test_the_edge_is_the_first_that_leaves_enough(
    stored: Path, metric: str, ascending: bool, limit: int
) -> None:
    with RunReader(stored) as reader:
        ranked = reader.ranking.page(1, metric, ascending=ascending, limit=1000)
        values = [place.value for place in ranked]
        for after in (None, ranked[0], ranked[10], ranked[40]):
            assert reader.ranking._bin_edge(1, metric, ascending, limit, after) == edge_by_counting(
                values, ascending, limit, after
            )


@pytest.mark.parametrize("ascending", [True, False])
def test_ranks_count_those_before_and_all(stored: Path, ascending: bool) -> None:
    with RunReader(stored) as reader:
        ranked = reader.ranking.page(1, "adcc", ascending=ascending, limit=1000)
        for place, entry in enumerate(ranked, 1):
            assert reader.ranking.rank_of(1, "adcc", entry.image, ascending=ascending) == (
                place,
                len(ranked),
            )


def test_what_has_an_index_is_read_by_it_and_the_rest_from_the_bins_that_hold_the_page(
    stored: Path,
) -> None:
    asked: list[str] = []
    with RunReader(stored) as reader:
        reader.connection.set_trace_callback(asked.append)
        reader.ranking.page(1, "adcc", ascending=True, limit=5)
        assert not any("histogram" in text for text in asked)
        assert len([text for text in asked if "ORDER BY" in text]) == 1
        asked.clear()
        reader.ranking.page(1, "complexity", ascending=True, limit=5)
        (pages,) = [text for text in asked if "ORDER BY" in text]
        assert "complexity < 0." in pages
        asked.clear()
        reader.ranking.page(1, "complexity", ascending=False, limit=5)
        (pages,) = [text for text in asked if "ORDER BY" in text]
        assert "complexity >= 0." in pages
