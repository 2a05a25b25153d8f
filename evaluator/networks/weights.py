"""Weights from torch's cache, from the network or from a file; never a full pickle."""

from __future__ import annotations

import hashlib
import pickle
import pickletools
import re
import shlex
import socket
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision import models

from evaluator.backbones import file_and_part, torch_checkpoints
from evaluator.errors import BackboneUnavailable
from evaluator.text import counted, printable

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
    return read_weights_file(str(file)).state


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


class Weights(NamedTuple):
    """Weights of a file.

    Attributes:
        state: tensors, by the names of the network that they were read for.
        name: the file's, and what was taken of it where a checkpoint holds more.
    """

    state: dict[str, Tensor]
    name: str


class _Part(NamedTuple):
    """Weights in a file: a dict of a checkpoint, and what its names have more or less.

    Attributes:
        key: of the dict, dotted, empty for the file itself.
        off: prefix that the network's names do not have; ``put``: that they have and these lack.
        fits: how many of its tensors are the network's.
    """

    key: str
    off: str = ""
    put: str = ""
    fits: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """What may be typed behind ``FILE#``, the usual first."""
        prefix = self.off.rstrip(".")
        return tuple(filter(None, (prefix, self.key, self.key.rpartition(".")[2])))

    @property
    def rank(self) -> tuple[int, int]:
        """Lower than that of another part that is there too: it is meant if none is named."""
        keys = (self.key.rpartition(".")[2], self.off.rstrip("."))
        first, second = (_USUAL.index(key) if key in _USUAL else len(_USUAL) for key in keys)
        return first, second


_USUAL = (
    "state_dict", "model", "", "model_state_dict", "model_state", "net", "network", "weights",
    "params", "module",
)  # fmt: skip
"""What a checkpoint keeps its weights under, the first that counts first. Others, such as moving
averages (``ema``), are taken where they are alone or named.
"""


def read_weights_file(path: str, names: Iterable[str] = ()) -> Weights:
    """Tensors of a ``.safetensors`` file or of one of ``torch.save``; pickled objects are not made.

    Of a checkpoint's dicts the one that fits is taken. A prefix that all names have on one side
    alone (``module.``, ``_orig_mod.``, ``backbone.``) is taken off or put before them; what is
    beside it belongs to another network and is left out.

    Args:
        path: of the file, or ``FILE#PART``: the key of a dict, or the begin of the names meant.
        names: of the network's tensors, empty where they are not known.

    Raises:
        BackboneUnavailable: not readable as plain tensors; or several parts fit, and none is named.
    """
    place, asked = file_and_part(path)
    file, wanted = Path(place), {_plain(name): name for name in names}
    content = _content(file)
    if not isinstance(content, dict):
        raise _no_weights(file, f"holds a {type(content).__name__}, not tensors by name")
    sets = dict(_sets(content))
    if not sets:
        raise _no_weights(file, f"holds no tensors, but {_listed(content)}")
    parts = [part for key, one in sets.items() for part in _parts(key, one, wanted, asked)]
    if not parts:
        raise _no_weights(file, f"holds no '{printable(asked, 60)}', but {_listed(content)}")
    most = max(part.fits for part in parts)
    parts = sorted((part for part in parts if 2 * part.fits >= most), key=lambda part: part.rank)
    chosen, *others = parts if most or not wanted else parts[:1]
    if others and chosen.rank == others[0].rank:
        listed = ", ".join(name for part in parts for name in part.names[:1])
        raise BackboneUnavailable(
            f"{printable(file)} holds the weights of several networks: {printable(listed, 160)}",
            f"name one: weights={printable(file.name)}#{printable(chosen.names[0], 60)}",
        )
    state, left_out = _taken(file, sets[chosen.key], chosen, wanted)
    notes = [] if asked else [chosen.key] * (chosen.rank > (1, 2))
    notes += [f"not #{part.names[0]}" for part in others if part.names]
    notes += [f"names without {chosen.off}"] * bool(chosen.off)
    notes += [f"names with {chosen.put}"] * bool(chosen.put)
    notes += [f"{counted(left_out, 'tensor')} left out"] * bool(left_out)
    told = f" ({printable(', '.join(filter(None, notes)), 160)})" if any(notes) else ""
    return Weights(state, f"{file.name}{f'#{asked}' if asked else ''}{told}")


def _sets(content: dict[Any, Any], inside: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    """The dicts of a checkpoint that hold tensors, by their dotted keys."""
    if any(isinstance(value, Tensor) for value in content.values()):
        yield inside, content
    for key, value in content.items():
        if isinstance(value, dict) and depth:
            yield from _sets(value, f"{inside}.{key}" if inside else str(key), depth - 1)


def _parts(key: str, state: dict[Any, Any], wanted: dict[str, str], asked: str) -> list[_Part]:
    """The parts of a dict that most names of a network fit: several where it has several networks.

    Args:
        asked: the one that is named, empty for any.
    """
    names = [_plain(name) for name, value in state.items() if isinstance(value, Tensor)]
    shifts = {("", "")}
    for longer, shorter, less in ((names, list(wanted), True), (list(wanted), names, False)):
        for end in {*shorter[:1], *shorter[len(shorter) // 2 :][:1], *shorter[-1:]}:
            begins = {name.removesuffix(end) for name in longer if name.endswith(f".{end}")}
            shifts |= {(begin, "") if less else ("", begin) for begin in begins}
    found = []
    for off, put in sorted(shifts):
        own = [put + name.removeprefix(off) for name in names if name.startswith(off)]
        part = _Part(key, off, put, sum(name in wanted for name in own))
        if not asked or asked.rstrip(".") in part.names:
            found.append(part)
    most = max((part.fits for part in found), default=0)
    fitting = [part for part in found if part.fits == most]
    return [part for part in fitting if not (part.off or part.put)] or fitting


def _taken(
    file: Path, content: dict[Any, Any], part: _Part, wanted: dict[str, str]
) -> tuple[dict[str, Tensor], int]:
    """The tensors of a part by the network's names, and how many are left out."""
    if strange := [name for name in content if not isinstance(name, str)]:
        raise _no_weights(file, f"has '{printable(strange[0], 40)}' for a name, which is no text")
    tensors = {_plain(name): one for name, one in content.items() if isinstance(one, Tensor)}
    if "n_averaged" not in wanted:
        tensors.pop("n_averaged", None)  # torch's AveragedModel counts
    state: dict[str, Tensor] = OrderedDict()
    for name, value in tensors.items():
        if name.startswith(part.off):
            own = part.put + name.removeprefix(part.off)
            state[wanted.get(own, own)] = value
            if value.is_complex():
                raise _no_weights(file, f"holds complex numbers in {printable(name, 60)}")
    versions = getattr(content, "_metadata", None)  # torchvision's MNASNet is built by them
    if isinstance(versions, dict):
        state._metadata = {  # type: ignore[attr-defined]  # as torch keeps them
            _plain(f"{name}.").removeprefix(part.off).rstrip("."): value
            for name, value in versions.items()
        }
    return state, len(tensors) - len(state)


_OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var|"
    r"num_batches_tracked))$"
)
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What ``torch.compile`` and other wrappers of modules put into names."""


def _plain(name: Any) -> str:
    """A tensor's name without wrappers; DenseNet's of 2017 as no module's name may hold a dot."""
    plain = _OLD_DENSENET.sub(r"\1\2", str(name))
    for wrapper in _WRAPPERS:
        plain = plain.replace(wrapper, "")
    return plain.removeprefix("module.")


def _listed(content: dict[Any, Any]) -> str:
    """What is in a checkpoint, for people: ``epoch (int), optimizer (dict)``."""
    found = [f"{printable(key, 40)} ({type(value).__name__})" for key, value in content.items()]
    return ", ".join(found[:8]) + (", …" if len(found) > 8 else "") or "nothing"


_UNREADABLE = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError)

_FOREIGN = {
    b"version https://git-lfs": "is the pointer of a Git LFS file, not the file: git lfs pull",
    b"<": "is a web page, not weights",
    b"\x89HDF": "is an HDF5 file, of another framework than torch",
}
"""Begins of files that are often taken for weights."""


def _content(file: Path) -> Any:
    """The content of a file.

    Raises:
        BackboneUnavailable: it is gone, or not readable as plain tensors.
    """
    try:
        with open(file, "rb") as stream:
            begin = stream.read(64)
        if begin[8:9] == b"{":
            return _safetensors(file)
        for mark, said in _FOREIGN.items():
            if begin.startswith(mark):
                raise _no_weights(file, said)
        if file.suffix == ".safetensors":
            return _safetensors(file)
        if begin[:1] == b"\x80" and begin[1:2] > b"\x03":  # torch would warn of it, and fail
            raise pickle.UnpicklingError("torch.save has not written it")
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BackboneUnavailable(
            f"the weights are gone: no file {printable(file)}",
            "put it back, or begin another run with weights=FILE",
        ) from error
    except (*_UNREADABLE, EOFError, pickle.UnpicklingError) as error:
        if kinds := re.findall(r"GLOBAL (\S+)", str(error)) or _pickled(file):
            raise BackboneUnavailable(
                f"{printable(file)} holds no plain tensors: it is a pickle with "
                f"{printable(', '.join(kinds[:3]), 120)}, and making one can run code",
                "if you trust it, save its tensors alone: "
                f"torch.save(torch.load({printable(file.name)!r}, weights_only=False)"
                "['state_dict'], 'weights.pth')",
            ) from error
        if "TorchScript" in str(error):
            raise _no_weights(file, "is a program of TorchScript, not weights") from error
        raise _no_weights(file, f"holds no plain tensors: {printable(error, 160)}") from error


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _pickled(file: Path) -> list[str]:
    """The classes and functions that a plain pickle would import; it is read, not run."""
    texts: list[str] = []
    found: list[str] = []
    try:
        with open(file, "rb") as stream:
            for operation, value, _ in pickletools.genops(stream):
                if operation.name == "GLOBAL":
                    found.append(str(value).replace(" ", "."))
                elif operation.name == "STACK_GLOBAL":
                    found.append(".".join(texts[-2:]))
                elif isinstance(value, str):
                    texts.append(value)
    except (*_UNREADABLE, EOFError):  # no pickle, or none that is whole
        return []
    return list(dict.fromkeys(found))


def _no_weights(file: Path, why: str) -> BackboneUnavailable:
    return BackboneUnavailable(
        f"{printable(file)} {why}", "give a .safetensors file or a saved state_dict"
    )
