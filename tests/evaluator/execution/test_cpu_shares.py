"""Shares of the cores for workers."""

from __future__ import annotations

import pytest

from evaluator.execution.workers import CpuShare, share_of


@pytest.mark.parametrize(
    ("device", "devices", "cores", "expected"),
    [
        ("cuda:0", [f"cuda:{n}" for n in range(8)], 128, CpuShare(1, 15)),
        ("cuda:0", ["cuda:0"], 16, CpuShare(1, 15)),
        ("cuda:0", ["cuda:0"], 2, CpuShare(1, 1)),
        ("cuda:0", ["cuda:0"] * 4, 2, CpuShare(1, 1)),
        ("cpu", ["cpu"], 8, CpuShare(None, 2)),
        ("cpu", ["cpu"] * 3, 8, CpuShare(2, 2)),
        ("cpu", ["cpu"] * 16, 8, CpuShare(1, 2)),
    ],
)
def test_shares(device: str, devices: list[str], cores: int, expected: CpuShare) -> None:
    assert share_of(device, devices, cores) == expected
