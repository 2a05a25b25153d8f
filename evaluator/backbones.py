"""The classifiers that camtui evaluates: families of them, their options, one of a plan.

Importing this module does not import torch.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, get_args

from evaluator import catalog
from evaluator.errors import UsageError
from evaluator.records import Interpolation, Preprocessing, Score
from evaluator.text import did_you_mean, name_hint, printable

if TYPE_CHECKING:
    from evaluator.networks.building import Built

WORDS: dict[str, tuple[str, ...]] = {
    "interpolation": get_args(Interpolation),
    "score": get_args(Score),
    "cut": ("graph", "hooks"),
    "transform_input": ("yes", "no"),
}
"""Options that take one of a few words."""

NUMBERS: dict[str, tuple[int, int]] = {
    "side": (8, 4096),
    "resize": (8, 8192),
    "channels": (1, 16),
    "tokens": (0, 1024),
}
"""Options that take a whole number, and from where to where."""

STATISTICS = ("mean", "std")
"""Options that take a number for all channels, or one for each: ``0.485/0.456/0.406``."""


def read_option(name: str, text: str) -> Any:
    """The value of an option from what was typed.

    Raises:
        UsageError: it is none that the option takes.
    """
    value: Any = text
    if name in NUMBERS:
        value = int(text) if text.isdecimal() else None
    elif name in STATISTICS:
        value = _numbers(text)
    if value is None or not check_option(name, value):
        raise _not_taken(name, f"{_takes(name)}{_OF_ARRAYS.get(name, '')}", text)
    return value


_OF_ARRAYS = dict.fromkeys(("channels", *STATISTICS), "; up to 16 where images are arrays")


def _not_taken(name: str, takes: str, text: str) -> UsageError:
    return UsageError(f"{name}= takes {takes}, not '{printable(text, 60)}'", _example(name, text))


def refuse_arrays(spec: BackboneSpec) -> None:
    """Refuse other numbers of channels than those of photographs where a network takes these.

    Raises:
        UsageError: it is one with a fixed name, and has 2 or more than 3 channels.
    """
    if not family_of(spec.key).names():
        return
    for name in _OF_ARRAYS:
        value = getattr(spec, name)
        if value is not None and (len(value) if isinstance(value, tuple) else value) not in (1, 3):
            raise _not_taken(name, _takes(name), _option_text(value))


def check_option(name: str, value: Any) -> bool:
    """Whether an option takes a value; ``None`` leaves the network's own.

    Unknown names are not refused here.
    """
    if value is None:
        return name != "key"
    if name in WORDS:
        return value in WORDS[name]
    if name in NUMBERS:
        least, most = NUMBERS[name]
        return type(value) is int and least <= value <= most
    if name in STATISTICS:
        return (
            isinstance(value, list | tuple)
            and 1 <= len(value) <= NUMBERS["channels"][1]
            and all(
                isinstance(one, int | float) and math.isfinite(one) and (name == "mean" or one > 0)
                for one in value
            )
        )
    if name == "output":
        return (isinstance(value, str) and value != "") or (type(value) is int and value >= 0)
    return isinstance(value, str)


def _numbers(text: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(part) for part in text.split("/"))
    except ValueError:
        return None


def _takes(name: str) -> str:
    if name in WORDS:
        return " or ".join(WORDS[name])
    if name == "channels":
        return "1 (grey) or 3 (RGB)"
    if name in NUMBERS:
        least, most = NUMBERS[name]
        return f"a whole number from {least} to {most}"
    if name == "output":
        return "the place of an output, from 0, or its name"
    return "one number for all channels, or three with / between them" + (
        ", above 0" if name == "std" else ""
    )


def _example(name: str, text: str) -> str:
    if name in WORDS:
        return f"{did_you_mean(text, WORDS[name])}for example {name}={WORDS[name][0]}"
    examples = {
        "channels": "1",
        "mean": "0.485/0.456/0.406",
        "std": "0.229/0.224/0.225",
        "tokens": "1",
        "output": "1",
    }
    return f"for example {name}={examples.get(name, '224')}"


MOST_CLASSES = 1_000_000


def read_class_names(file: str) -> tuple[str, ...]:
    """Class names by index, one a line; empty lines at the end fall away.

    Raises:
        UsageError: the file cannot be read, or names nothing.
    """
    hint = "one name a line: --classes FILE"
    try:
        lines = Path(file).read_text("utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read the class names {printable(file)}: {printable(error, 120)}", hint
        ) from error
    if not lines or len(lines) > MOST_CLASSES:
        raise UsageError(f"{printable(file)} names {len(lines)} classes", hint)
    return tuple(line.strip() for line in lines)


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
    need not (``networks.maps``).
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
        else name_hint(key, [*known_backbones(), *other_backbones()])
    )
    return UsageError(
        f"unknown network '{printable(key, 80)}'", f"{near}list them: camtui backbones"
    )


def torch_checkpoints() -> Path:
    """The folder of torch's downloaded weights (``$TORCH_HOME``, ``$XDG_CACHE_HOME``)."""
    from os import environ

    cache = Path(environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


DEFAULT_WEIGHTS = "default"


def file_and_part(weights: str) -> tuple[str, str]:
    """``FILE#PART`` as it is typed: a file of weights, and which of several in it; else empty."""
    file, sign, part = weights.rpartition("#")
    named = bool(sign) and "/" not in part and not Path(weights).expanduser().is_file()
    return (file, part) if named else (weights, "")


SHORT_SIDE = 224
"""Pixels before the crop of a network whose side is as long; ``--resize`` changes it, for other
sides in proportion.
"""


@dataclass(frozen=True)
class BackboneSpec:
    """One backbone of a plan. Options that are ``None`` are as the network has them.

    Attributes:
        key: the classifier's name, or a reference to what builds it.
        weights: ``default`` (those of its family), ``random:SEED``, or a file's path.
        layer: dotted name of the target layer.
        side, resize, interpolation, mean, std, channels: of the preprocessing; one ``mean`` or
            ``std`` is for all channels.
        score: what turns outputs into confidence.
        output: which of several outputs are the logits, by place or name.
        tokens: prefix tokens before those of the map.
        classes: file of class names, one a line.
        cut: ``graph`` or ``hooks``, where the evaluator shall not choose.
        transform_input: ``yes`` or ``no``: of Inception v3 and GoogLeNet, see ``LoadedBackbone``.
    """

    key: str
    weights: str = DEFAULT_WEIGHTS
    layer: str | None = None
    side: int | None = None
    resize: int | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: int | None = None
    score: Score | None = None
    tokens: int | None = None
    classes: str | None = None
    cut: str | None = None
    transform_input: str | None = None
    output: str | None = None

    @property
    def shown_key(self) -> str:
        """The key for people: without the folders of a path."""
        return shown_key(self.key)

    @property
    def name(self) -> str:
        """The key with the options that differ: ``vgg16:layer=features.29,weights=random:0``."""
        changed = [f"layer={self.layer}"] if self.layer else []
        if self.weights != DEFAULT_WEIGHTS:
            is_random = self.weights.startswith("random:")
            changed.append(f"weights={self.weights if is_random else Path(self.weights).name}")
        changed += [
            f"{name}={_option_text(value)}"
            for name, value in self.overrides.items()
            if name != "classes"
        ]
        return ":".join([self.shown_key, ",".join(changed)]) if changed else self.shown_key

    @property
    def overrides(self) -> dict[str, Any]:
        """The user's options beyond weights and layer."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)[3:]}
        return {name: value for name, value in chosen.items() if value is not None}

    def preprocessing(self, usual: Preprocessing, resize: int | None = None) -> Preprocessing:
        """The network's preprocessing with the user's options.

        A side brings its short side before the crop along, in the proportion that the network has.

        Args:
            usual: the network's own.
            resize: the plan's short side before a crop of 224; another than 224 counts in
                proportion to the side.

        Raises:
            UsageError: there are not as many means as channels.
        """
        side = self.side or usual.side
        short = usual.resize if resize in (None, SHORT_SIDE) else usual.side * resize / SHORT_SIDE
        channels = self.channels or usual.channels
        return Preprocessing(
            side=side,
            resize=self.resize or max(side, round(short * side / usual.side)),
            interpolation=self.interpolation or usual.interpolation,
            mean=_for_channels(
                "mean", self.mean or usual.mean, channels, given=self.mean is not None
            ),
            std=_for_channels("std", self.std or usual.std, channels, given=self.std is not None),
            channels=channels,
        )

    def class_names(self) -> tuple[str, ...]:
        """The names in the user's file, empty without one.

        Raises:
            UsageError: it cannot be read.
        """
        return read_class_names(self.classes) if self.classes else ()


def _option_text(value: Any) -> str:
    return "/".join(f"{number:g}" for number in value) if isinstance(value, tuple) else str(value)


def _for_channels(
    name: str, values: tuple[float, ...], channels: int, *, given: bool
) -> tuple[float, ...]:
    """One number for each channel; of a network for colours, their mean for a grey image."""
    if len(values) == channels:
        return values
    if len(values) == 1:
        return values * channels
    if not given:
        return (sum(values) / len(values),) * channels
    raise UsageError(
        f"{name} has {len(values)} numbers, and the images have {channels} "
        f"{'channel' if channels == 1 else 'channels'}",
        f"one number, or one for each channel: {name}={'/'.join(['0.5'] * channels)}",
    )


def parse_backbone(spec: str) -> BackboneSpec:
    """``resnet50`` or ``vgg16:layer=features.29,weights=FILE``.

    Raises:
        UsageError: unknown backbone or option.
    """
    key, text = split_backbone(spec)
    shown = shown_key(key)
    _, options = catalog.split_spec(f"{shown}:{text}", key=shown)
    known = [field.name for field in fields(BackboneSpec)[1:]]
    for name in options:
        if name not in known:
            raise UsageError(
                f"network '{shown}' has no option '{name}'",
                f"{did_you_mean(name, known)}it has {', '.join(known)}: -b {shown}:layer=NAME",
            )
    return BackboneSpec(key, **{name: read_option(name, value) for name, value in options.items()})


def is_backbone_entry(entry: Any) -> bool:
    """Whether a plan's entry is a text, or a table of texts, numbers and lists of numbers."""
    if not isinstance(entry, dict):
        return isinstance(entry, str)
    return all(check_option(name, value) for name, value in entry.items())


def backbone_of(entry: str | dict[str, Any]) -> BackboneSpec:
    """The backbone of a plan's entry: a text as for ``-b``, or a table.

    Raises:
        UsageError: unknown backbone, or an option that it does not have.
    """
    if isinstance(entry, str):
        return parse_backbone(entry)
    lists = {name: tuple(value) for name, value in entry.items() if isinstance(value, list)}
    texts = {name: str(value) for name, value in entry.items() if name == "output" and value}
    texts |= {"output": "0"} if entry.get("output") == 0 else {}
    try:
        return BackboneSpec(**{**entry, **lists, **texts})
    except TypeError as error:
        raise UsageError(
            f"a network of the plan is malformed: {error}",
            f"it has {', '.join(f.name for f in fields(BackboneSpec))}",
        ) from error
