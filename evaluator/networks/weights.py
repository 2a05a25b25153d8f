"""Weights from torch's cache, from the network or from a file; never a full pickle."""

from __future__ import annotations

import hashlib
import pickle
import re
import shlex
import socket
from collections import OrderedDict
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
    """Torchvision's weights of a classifier, from torch's cache or fetched into it by their hash.

    Raises:
        BackboneUnavailable: not in the cache and not to be fetched, or another file is there under
            their name; names the file and the command to type.
    """
    file = torch_checkpoints() / url.rsplit("/", 1)[-1]
    if not file.is_file():
        _fetch(key, url, file)
    check_hash(
        file,
        f"rm {shlex.quote(str(file))} and repeat: it is fetched again; if it is a network of your "
        f"own: -b {key}:weights=FILE",
    )
    state, _ = read_weights_file(str(file))
    return _renamed(state)


_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.")
"""The begin of a published file's sha256, as torch and its users name it: ``-f37072fd.pth``."""


def check_hash(file: Path, hint: str) -> None:
    """Compare a published file with the hash in its name.

    Args:
        file: a name without a hash is not judged.
        hint: what to type where they differ.

    Raises:
        BackboneUnavailable: they differ, or the file cannot be read.
    """
    named = _HASH_IN_NAME.search(file.name)
    if named is None:
        return
    found = sha256_of(file)
    if not found.startswith(named[1]):
        raise BackboneUnavailable(
            f"{printable(file)} is not the published file: its sha256 begins with "
            f"{found[: len(named[1])]}, and that in its name is {named[1]}",
            hint,
        )


def sha256_of(file: Path) -> str:
    """The sha256 of a weights file, in hexadecimal.

    Raises:
        BackboneUnavailable: it cannot be read.
    """
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _no_weights(file, f"cannot be read: {printable(error, 160)}") from error


def _fetch(key: str, url: str, file: Path) -> None:
    found = _HASH_IN_NAME.search(file.name)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECT_SECONDS)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), found[1] if found else None, progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise BackboneUnavailable(
            f"the weights of {key} are not on this machine and cannot be fetched "
            f"({printable(error)})",
            f"fetch {url} elsewhere, put it at {file}, and repeat; to try things out: "
            "--weights random:0",
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def read_weights_file(path: str) -> tuple[dict[str, Tensor], str]:
    """Tensors of a ``.safetensors`` or ``.pth`` file, and the file's name.

    A checkpoint that keeps its weights under ``state_dict`` or ``model``, or under ``module.``
    names, is unwrapped.

    Raises:
        BackboneUnavailable: not readable as plain tensors.
    """
    file = Path(path)
    try:
        content = _content(file)
    except (*_UNREADABLE, EOFError, pickle.UnpicklingError) as error:
        raise _no_weights(file, f"holds no plain tensors: {printable(error, 160)}") from error
    if not isinstance(content, dict):
        raise _no_weights(file, f"holds a {type(content).__name__}, not tensors by name")
    for wrapper in ("state_dict", "model"):
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if strange := [name for name in content if not isinstance(name, str)]:
        raise _no_weights(file, f"has '{printable(strange[0], 40)}' for a name, which is no text")
    state = {
        name.removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, Tensor)
    }
    if not state:
        raise _no_weights(file, "holds no tensors")
    for name, value in state.items():
        if value.is_complex():
            raise _no_weights(file, f"holds complex numbers in {printable(name, 60)}")
    return _with_versions(state, content), file.name


def _with_versions(state: dict[str, Tensor], content: dict[str, Any]) -> dict[str, Tensor]:
    """The same with the versions of modules that a saved ``state_dict`` has beside its tensors.

    Torchvision's MNASNet is built by them.
    """
    versions = getattr(content, "_metadata", None)
    if not isinstance(versions, dict):
        return state
    found = OrderedDict(state)
    found._metadata = {  # type: ignore[attr-defined]  # as torch keeps them
        str(name).removeprefix("module").removeprefix("."): value
        for name, value in versions.items()
    }
    return found


_UNREADABLE = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError)


def _content(file: Path) -> Any:
    """The content of a file."""
    if file.suffix != ".safetensors":
        return torch.load(file, map_location="cpu", weights_only=True)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _no_weights(file: Path, why: str) -> BackboneUnavailable:
    return BackboneUnavailable(
        f"{printable(file)} {why}", "give a .safetensors file or a saved state_dict"
    )


_OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$"
)


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename DenseNet's published weights of 2017: no module's name may hold their dot."""
    renamed = {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
    return _with_versions(renamed, state)
