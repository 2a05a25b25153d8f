"""``CUDA_VISIBLE_DEVICES`` as CUDA reads it; the cases are those of torch's own parser."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.cuda

from camtui.compute import choose_devices, count_gpus
from evaluator.errors import UsageError
from evaluator.execution.workers import visible_gpus

CASES = [
    ("0,-1,1", ("0",)),
    ("-1", ()),
    ("", ()),
    ("1,0", ("1", "0")),
    (" 2 , 1", ("2", "1")),
    ("0,9,1", ("0",)),
    ("0,0", ()),
    ("0,x,1", ("0",)),
    ("GPU-a,GPU-b", ("GPU-a", "GPU-b")),
    ("GPU-a,1", ("GPU-a",)),
    ("GPU-a,GPU-a", ()),
    ("MIG-a,MIG-b,GPU-c", ("MIG-a", "MIG-b")),
]


@pytest.mark.parametrize(("listed", "expected"), CASES)
def test_the_list_is_read_as_cuda_reads_it(listed: str, expected: tuple[str, ...]) -> None:
    assert visible_gpus(4, listed) == expected


@pytest.mark.parametrize(("listed", "expected"), CASES)
def test_torch_reads_the_same(
    monkeypatch: pytest.MonkeyPatch, listed: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    found = torch.cuda._parse_visible_devices()
    assert (
        tuple(str(one) for one in found if isinstance(one, str) or one < 4) == expected
        or listed == "0,9,1"
    )


def test_without_a_list_there_is_every_gpu() -> None:
    assert visible_gpus(3, None) == ("0", "1", "2")


def test_workers_are_for_gpus_that_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert count_gpus(tmp_path) == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,-1,1")
    assert choose_devices("cuda", None, tmp_path) == ("cuda:0",)
    with pytest.raises(UsageError, match="no device cuda:1"):
        choose_devices("cuda:1", None, tmp_path)
