from __future__ import annotations

from collections.abc import Iterator

import pytest

from evaluator.store.reader import RunReader
from tests.synthetic import make_run

ALL = ("fakecam", "cam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunReader]:
    path = make_run(
        tmp_path_factory.mktemp("runs") / "demo.db", methods=ALL, partial={"vgg16/scorecam": 17}
    )
    reader = RunReader(path)
    yield reader
    reader.close()
