"""Weights from torch's cache, from the network or from a file; never a full pickle."""

from __future__ import annotations

import pickle
import re
import socket
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision import models

from evaluator.backbones import torch_checkpoints
from evaluator.errors import BackboneUnavailable
from evaluator.text import printable

_CONNECT_SECONDS = 20.0


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes, as torchvision has them."""
    return tuple(models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def published_weights(key: str, url: str) -> dict[str, Tensor]:
    """Torchvision's weights of one classifier: from torch's cache, else fetched into it and checked against their hash.

    Raises:
        BackboneUnavailable: not in the cache and not to be fetched; names the file, the folder and the command to repeat.
    """
    file = torch_checkpoints() / url.rsplit("/", 1)[-1]
    if not file.is_file():
        _fetch(key, url, file)
    state, _ = read_weights_file(str(file))
    return _renamed(state)


def _fetch(key: str, url: str, file: Path) -> None:
    found = re.search(r"-([0-9a-f]{8,})\.", file.name)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECT_SECONDS)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), found[1] if found else None, progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise BackboneUnavailable(
            f"the weights of {key} are not on this machine and cannot be fetched ({printable(error)})",
            f"fetch {url} elsewhere, put it at {file}, and repeat; to try things out: --weights random:0",
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def read_weights_file(path: str) -> tuple[dict[str, Tensor], str]:
    """Tensors of a ``.safetensors`` or ``.pth`` file, and the file's name.

    A checkpoint that keeps its weights under ``state_dict`` or ``model``, or under ``module.`` names, is unwrapped.

    Raises:
        BackboneUnavailable: not readable as plain tensors.
    """
    file = Path(path)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: dict[str, Any] = dict(load_file(file))
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise BackboneUnavailable(
            f"{printable(file)} holds no plain tensors: {printable(error, 160)}", "give a .safetensors file or a saved state_dict"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    state = {name.removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise BackboneUnavailable(f"{printable(file)} holds no tensors", "give a .safetensors file or a saved state_dict")
    return state, file.name


_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$")


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """DenseNet's published weights still bear the names of 2017, with a dot that module names may no longer hold."""
    return {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
