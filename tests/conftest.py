"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from evaluator import catalog

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Container images often set it. Every process that a test starts, and there are more than a
thousand, would compile camtui anew, which takes four times as long as to import it.
"""

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    """Three workers on two cores: torch's own threads would only wait for each other."""

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
"""As the worker does: what computes in one test leaves the cores to the others when it waits."""

os.environ.setdefault("CAMTUI_DATA", "/")
"""Runs of tests show their pictures wherever they lie."""

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell starts what it puts in the background with Ctrl-C ignored, and every program started from
there inherits that: tests
that type Ctrl-C would wait for ever.
"""


gc.disable()
"""Until the tests begin: what is imported for them stays, and looking through it for garbage again
and again took a tenth of the suite's time.
"""


def pytest_collection_finish() -> None:
    """Look for garbage only in what the tests make."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _own_names_only() -> Iterator[None]:
    """Methods and metrics that a test makes known to its process are not known to the next."""
    with catalog.scoped_registry():
        yield
