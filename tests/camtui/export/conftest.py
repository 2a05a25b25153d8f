from __future__ import annotations

from collections.abc import Iterator

import pytest

from evaluator.store.reader import RunReader
from tests.camtui.export.support import METHODS, ODD
from tests.synthetic import make_run


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunReader]:
    folder = tmp_path_factory.mktemp("runs")
    reader = RunReader(
        make_run(folder / "demo.db", methods=METHODS, paths=ODD, partial={"vgg16/gradcampp": 17})
    )
    yield reader
    reader.close()
