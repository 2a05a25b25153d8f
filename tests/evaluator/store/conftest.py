"""Where the tests of the store keep a run's file, and a finished one to damage."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from tests.synthetic import make_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a run's file; there is none yet."""
    return tmp_path / "run.db"


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of twelve images, cells 1 and 2; only to be copied."""
    return make_run(
        tmp_path_factory.mktemp("kept") / "run.db",
        images=12,
        backbones=["resnet18"],
        methods=["gradcam", "fakecam"],
        plan={"metrics": ["adcc", "deletion", "arcc"]},
    )


@pytest.fixture
def stored(path: Path, kept: Path) -> Path:
    """The test's own copy of it."""
    return Path(copyfile(kept, path))
