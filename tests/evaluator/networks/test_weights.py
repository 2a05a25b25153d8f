"""Weights from torch's cache and from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluator.errors import BackboneUnavailable
from evaluator.networks.weights import published_weights, read_weights_file


def test_published_weights_come_from_torchs_cache_under_their_new_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save({"features.denselayer1.norm.1.weight": torch.ones(2)}, cache / "densenet-0123abcd.pth")
    state = published_weights("densenet121", "https://nowhere.invalid/densenet-0123abcd.pth")
    assert list(state) == ["features.denselayer1.norm1.weight"]


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"epoch": 3}}, tmp_path / "a.pth")
    with pytest.raises(BackboneUnavailable, match=r"a\.pth holds no tensors"):
        read_weights_file(str(tmp_path / "a.pth"))


def test_wrapped_weights_are_unwrapped(tmp_path: Path) -> None:
    torch.save({"model": {"module.fc.bias": torch.zeros(3)}, "epoch": 3}, tmp_path / "a.pth")
    assert list(read_weights_file(str(tmp_path / "a.pth"))[0]) == ["fc.bias"]
