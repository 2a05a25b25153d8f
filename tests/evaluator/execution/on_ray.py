"""Helpers of the tests on Ray, imported by them alone: the others run without Ray."""

from __future__ import annotations

from evaluator.execution.ray_cluster import Cluster, Share
from evaluator.execution.ray_executor import RayExecutor
from evaluator.interfaces import SessionSettings
from tests.fake_session import DOTTED


def open_executor(settings: SessionSettings, workers: int) -> RayExecutor:
    """An executor on the Ray that this process is connected to, and stays connected to."""
    share = Share(workers, 0.1, 0.0, 1.0)
    return RayExecutor(
        lambda: Cluster(share, lambda number, _: (number, settings, DOTTED, ()), lambda: None)
    )
