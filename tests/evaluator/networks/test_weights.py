"""Weights from torch's cache and from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluator.backbones import BackboneSpec
from evaluator.errors import BackboneUnavailable
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.weights import published_weights, read_weights_file, sha256_of


def test_published_weights_come_from_torchs_cache_under_their_new_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save({"features.denselayer1.norm.1.weight": torch.ones(2)}, cache / "densenet.pth")
    begin = sha256_of(cache / "densenet.pth")[:8]
    (cache / "densenet.pth").rename(cache / f"densenet-{begin}.pth")
    url = f"https://nowhere.invalid/densenet-{begin}.pth"
    assert list(published_weights("densenet121", url)) == ["features.denselayer1.norm1.weight"]
    torch.save(
        {"features.denselayer1.norm.1.weight": torch.zeros(2)}, cache / f"densenet-{begin}.pth"
    )
    with pytest.raises(BackboneUnavailable) as caught:
        published_weights("densenet121", url)
    found = sha256_of(cache / f"densenet-{begin}.pth")[:8]
    assert caught.value.message == (
        f"{cache}/densenet-{begin}.pth is not the published file: its sha256 begins with {found}, "
        f"and that in its name is {begin}"
    )
    assert caught.value.hint.startswith(f"rm {cache}/densenet-{begin}.pth and repeat")
    assert "-b densenet121:weights=FILE" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"half of it"])
def test_a_download_that_broke_off_is_no_published_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(BackboneUnavailable, match="sha256 begins with") as caught:
        load_backbone(BackboneSpec("resnet18"))
    assert "f37072fd" in caught.value.message


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"epoch": 3}}, tmp_path / "a.pth")
    with pytest.raises(BackboneUnavailable, match=r"a\.pth holds no tensors"):
        read_weights_file(str(tmp_path / "a.pth"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.ones(2)], "holds a list, not tensors by name"),
        (torch.ones(2), "holds a Tensor, not tensors by name"),
        ({0: torch.ones(2)}, "has '0' for a name"),
        (
            {"fc.weight": torch.ones(2, dtype=torch.complex64)},
            r"holds complex numbers in fc\.weight",
        ),
    ],
)
def test_what_is_no_state_dict_is_said_in_one_sentence(
    tmp_path: Path, content: object, words: str
) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(BackboneUnavailable, match=rf"a\.pth {words}"):
        read_weights_file(str(tmp_path / "a.pth"))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      ", b"\x04\0\0\0\0\0\0\0null"]
)
def test_a_damaged_safetensors_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(BackboneUnavailable, match=r"a\.safetensors holds no"):
        read_weights_file(str(tmp_path / "a.safetensors"))


def test_wrapped_weights_are_unwrapped(tmp_path: Path) -> None:
    torch.save({"model": {"module.fc.bias": torch.zeros(3)}, "epoch": 3}, tmp_path / "a.pth")
    assert list(read_weights_file(str(tmp_path / "a.pth"))[0]) == ["fc.bias"]
