"""The classifiers that camtui evaluates, as data: families of them, each one file.

Importing this module does not import torch.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from evaluator.errors import UsageError
from evaluator.records import Preprocessing
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from evaluator.backbone_spec import BackboneSpec
    from evaluator.networks.building import Built

USUAL = Preprocessing()
FAMILIES = "evaluator.networks.families"


@dataclass(frozen=True)
class KnownBackbone:
    """Properties of a classifier that are known before it is loaded.

    Attributes:
        key: its name in a command.
        title: as in the paper's tables.
        family: key of the family that builds it.
        layer: the target layer where the general rule would pick another one; ``None``: as
            ``networks.target_layer`` finds it.
        gap_linear: head is global average pooling and one linear layer; ``None`` where only loading
            it can tell.
        attention: whether methods can look into its self-attention; ``None`` where only loading it
            can tell.
        channels: K at the target layer, for planning; 0 where only loading it can tell.
        weights_file: name of the published weights' file.
        preprocessing: the usual one; ``None`` where only loading it can tell.
        earlier: the one that earlier versions gave it, where that was another: identities of cells
            leave it out.
        transform_input: whether it has an option of that name.
        listed: named in listings, one by one.
    """

    key: str
    title: str
    family: str = "torchvision"
    layer: str | None = None
    gap_linear: bool | None = None
    attention: bool | None = None
    channels: int = 0
    weights_file: str = ""
    preprocessing: Preprocessing | None = USUAL
    earlier: Preprocessing | None = None
    transform_input: bool = False
    listed: bool = False


class Parts(NamedTuple):
    """A backbone as it is typed: the key, and the text of the options behind it."""

    key: str
    options: str


class Family(ABC):
    """Networks that are named, built and filled alike, one file in ``evaluator/networks/families``.

    The file is imported wherever backbones are named: it imports torch inside ``build`` alone.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    spelled: ClassVar[str]
    """Syntax of its backbones in a command: ``NAME``, ``timm/NAME``, ``FILE.pt2``."""
    published: ClassVar[bool] = False
    """Whether its default weights are published ones, which may have to be fetched first."""
    tried: ClassVar[bool] = False
    """Whether the tests have tried the target layer of every one of its networks, so that loading
    need not (``networks.map_checks``).
    """
    rank: ClassVar[int] = 0
    """Families are asked in this order whether a name is theirs; those with fixed names first."""

    def split(self, text: str) -> Parts | None:
        """Key and options of what was typed, ``None`` where it is not this family's."""
        key, _, options = text.strip().partition(":")
        return Parts(key, options) if self.known(key) else None

    @abstractmethod
    def known(self, key: str) -> KnownBackbone | None:
        """The backbone of that key, ``None`` where it is not this family's."""

    def names(self) -> tuple[KnownBackbone, ...]:
        """Every backbone, where the family has a fixed set of them."""
        return ()

    def canonical(self, key: str) -> str:
        """The key as it is stored: paths absolute, ``~`` expanded.

        Raises:
            UsageError: what the key names is not there.
        """
        return key

    def shown(self, key: str) -> str:
        """The key for people: without the folders of a path."""
        return key

    def local_weights(self, key: str) -> Path | None:
        """File of the published weights on this machine, or ``None``; it is not loaded."""
        return None

    @abstractmethod
    def build(self, spec: BackboneSpec) -> Built:
        """The network with its weights, preprocessing and class names.

        Raises:
            BackboneUnavailable: the weights are not at hand and cannot be fetched, or do not fit.
            UsageError: there is no such network, or it cannot be built.
        """


@cache
def families() -> dict[str, Family]:
    """Every family by key, in the order in which they are asked; each file is one."""
    package = import_module(FAMILIES)
    found: list[Family] = []
    for module_info in iter_modules(package.__path__):
        module = import_module(f"{FAMILIES}.{module_info.name}")
        for _, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, Family) and member.__module__ == module.__name__:
                found.append(member())
    return {
        family.key: family for family in sorted(found, key=lambda family: (family.rank, family.key))
    }


def split_backbone(text: str) -> Parts:
    """Key and options of a backbone as it is typed.

    Raises:
        UsageError: no family has a backbone of that name.
    """
    for family in families().values():
        if parts := family.split(text):
            return parts
    raise _unknown(text.strip().partition(":")[0])


def family_of(key: str) -> Family:
    """The family that builds a backbone.

    Raises:
        UsageError: none does.
    """
    return families()[known_backbone(key).family]


def known_backbone(key: str) -> KnownBackbone:
    """Properties of a backbone that are known before it is loaded.

    Raises:
        UsageError: no family has a backbone of that name.
    """
    for family in families().values():
        if known := family.known(key):
            return known
    raise _unknown(key)


def shown_key(key: str) -> str:
    """The key for people; unchanged where no family of this version knows it."""
    return next((family.shown(key) for family in families().values() if family.known(key)), key)


def known_backbones() -> dict[str, KnownBackbone]:
    """Those that listings name one by one, by key: the paper's six and the demo's."""
    return {known.key: known for known in _named_backbones() if known.listed}


def other_backbones() -> tuple[str, ...]:
    """Every other backbone that has a fixed name."""
    return tuple(known.key for known in _named_backbones() if not known.listed)


def _named_backbones() -> list[KnownBackbone]:
    """Every backbone that has a fixed name, family by family."""
    return [known for family in families().values() for known in family.names()]


def local_weights(key: str) -> Path | None:
    """File of a backbone's published weights on this machine, or ``None``; it is not loaded."""
    return family_of(key).local_weights(key)


def _unknown(key: str) -> UsageError:
    begun = [
        known
        for known in known_backbones()
        if key and known.startswith(key) and local_weights(known)
    ]
    near = (
        f"did you mean '{begun[0]}'? "
        if begun
        else did_you_mean(key, [*known_backbones(), *other_backbones()])
    )
    return UsageError(
        f"unknown backbone '{printable(key, 80)}'", f"{near}list them: camtui backbones"
    )


def torch_checkpoints() -> Path:
    """The folder of torch's downloaded weights (``$TORCH_HOME``, ``$XDG_CACHE_HOME``)."""
    from os import environ

    cache = Path(environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"
