"""Weights from torch's cache and from files."""

from __future__ import annotations

import pickle
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from evaluator.backbones import BackboneSpec
from evaluator.errors import BackboneUnavailable
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.building import filled
from evaluator.networks.weights import published_weights, read_weights_file, sha256_of
from tests.evaluator.networks.families.support import spec_of
from tests.networks import GapNetwork


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


def own(seed: int = 0, names: str = "{}") -> dict[str, Any]:
    """The tensors of a small network, whose names stand in others."""
    torch.manual_seed(seed)
    return {names.format(name): one for name, one in GapNetwork().state_dict().items()}


BESIDE = {"epoch": torch.tensor(3), "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
HEADLESS = {name: one for name, one in own(1, "student.{}").items() if ".fc." not in name}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        *(({wrapper: own(), **BESIDE}, "") for wrapper in ("state_dict", "model")),
        *(
            ({wrapper: own(), **BESIDE}, f" ({wrapper})")
            for wrapper in ("model_state_dict", "net", "ema", "state_dict_ema", "module", "weights")
        ),
        *(
            ({"state_dict": own(names=f"{prefix}{{}}")}, f" (names without {prefix})")
            for prefix in ("model.", "backbone.", "encoder.", "net.model.", "anything.")
        ),
        *((own(names=f"{prefix}{{}}"), "") for prefix in ("module.", "_orig_mod.")),
        (own(names="_orig_mod.module.{}"), ""),
        ({"model": {"state_dict": own()}}, ""),
        ({"ema": own(1), "net": own()}, " (net, not #ema)"),
        ({"state_dict_ema": own(1), "state_dict": own()}, " (not #state_dict_ema)"),
        (
            {"state_dict": {**own(names="model.{}"), "loss.weight": torch.ones(2)}},
            " (names without model., 1 tensor left out)",
        ),
        (own(names="module.{}") | {"n_averaged": torch.tensor(9)}, ""),
        (own(names="model.{}") | own(1, "ema.{}"), " (not #ema, names without model., "),
    ],
)
def test_wrappings_and_prefixes_are_taken_off_and_said(
    tmp_path: Path, content: dict[str, Any], told: str
) -> None:
    torch.save(content, tmp_path / "best.pth.tar")
    model = GapNetwork()
    state, name = read_weights_file(str(tmp_path / "best.pth.tar"), model.state_dict())
    assert name.startswith(f"best.pth.tar{told}")
    assert told or name == "best.pth.tar"
    filled(model, state, "net")
    assert torch.equal(model.fc.weight, own()["fc.weight"])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"state_dict": own(1), "ema_state_dict": own()}, "ema_state_dict"),
        ({"nets": {"generator": own(1), "judge": own()}}, "judge"),
        (own(names="teacher.{}") | HEADLESS, "teacher"),
        ({"state_dict": own(names="student.{}") | own(1, "teacher.{}")}, "student."),
    ],
)
def test_one_of_several_is_named(tmp_path: Path, content: dict[str, Any], part: str) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    names = list(GapNetwork().state_dict())
    found = read_weights_file(f"{tmp_path}/a.ckpt#{part}", names)
    assert torch.equal(found.state["fc.weight"], own()["fc.weight"])
    assert found.name.startswith(f"a.ckpt#{part}")
    with pytest.raises(BackboneUnavailable, match=r"a\.ckpt holds no 'other', but"):
        read_weights_file(f"{tmp_path}/a.ckpt#other", names)


@pytest.mark.parametrize(
    "content",
    [
        {"generator": own(), "judge": own(1)},
        own(names="student.{}") | own(1, "teacher.{}"),
    ],
)
def test_several_that_fit_are_not_guessed(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(BackboneUnavailable, match="holds the weights of several") as caught:
        read_weights_file(str(tmp_path / "a.pt"), GapNetwork().state_dict())
    assert caught.value.hint.startswith("name one: weights=a.pt#")


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "network.", "module."])
def test_a_prefix_that_the_network_alone_has_is_put_before_the_names(
    tmp_path: Path, wrapper: str
) -> None:
    """A compiled or wrapped network takes weights of the bare one."""
    torch.save(own(), tmp_path / "a.pth")
    wanted = [f"{wrapper}{name}" for name in own()]
    assert list(read_weights_file(str(tmp_path / "a.pth"), wanted).state) == wanted


def test_densenets_names_of_2017_are_read_from_any_file(tmp_path: Path) -> None:
    model = models.densenet121(num_classes=3)
    old = {re.sub(r"(denselayer\d+\.\w+)([12])\.", r"\1.\2.", name): one
           for name, one in model.state_dict().items()}  # fmt: skip
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save({"state_dict": {f"module.{name}": one for name, one in old.items()}},
               tmp_path / "old.pth.tar")  # fmt: skip
    state, name = read_weights_file(str(tmp_path / "old.pth.tar"), model.state_dict())
    assert name == "old.pth.tar"
    filled(models.densenet121(num_classes=3), state, "densenet121")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"state_dict": {}, "args": Namespace(lr=1)}, r"pickle with argparse\.Namespace, and"),
        (Namespace(), r"pickle with argparse\.Namespace, and making one can run code$"),
        ({"best": Path("x")}, r"pickle with pathlib\."),
        (GapNetwork(), r"pickle with tests\.networks\.GapNetwork"),
    ],
)
def test_what_a_pickle_holds_beside_tensors_is_named(
    tmp_path: Path, content: object, words: str, legacy: bool
) -> None:
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(BackboneUnavailable, match=rf"a\.ckpt holds no plain tensors.*{words}"):
        read_weights_file(str(tmp_path / "a.ckpt"))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(BackboneUnavailable, match=r"a\.pkl holds no plain tensors: it is a pickle"):
        read_weights_file(str(tmp_path / "a.pkl"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of a Git LFS file"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "is an HDF5 file"),
        (None, r"the weights are gone: no file .*a\.pth"),
    ],
)
def test_what_is_no_file_of_weights_is_said(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(BackboneUnavailable, match=words):
        read_weights_file(str(tmp_path / "a.pth"))


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    save_file(own(), tmp_path / "a.ckpt")
    assert read_weights_file(str(tmp_path / "a.ckpt")).state.keys() == own().keys()
    spec = spec_of(f"resnet18:weights={tmp_path}/a.ckpt#ema")
    assert spec.weights == f"{tmp_path}/a.ckpt#ema"
    assert spec.name == "resnet18:weights=a.ckpt#ema"
    with pytest.raises(BackboneUnavailable, match="holds no 'ema', but features"):
        load_backbone(spec)


def test_weights_that_do_not_fit_name_the_file_and_what_was_found(tmp_path: Path) -> None:
    torch.save(own(), tmp_path / "a.pth")
    with pytest.raises(
        BackboneUnavailable, match=r"the weights of a\.pth do not fit resnet18: size"
    ):
        load_backbone(BackboneSpec("resnet18", str(tmp_path / "a.pth")))
