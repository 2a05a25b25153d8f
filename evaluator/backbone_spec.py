"""One backbone of a plan: its key, its weights, and what the user has said of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from evaluator import catalog
from evaluator.backbone_options import check_option, read_class_names, read_option
from evaluator.backbones import shown_key, split_backbone
from evaluator.errors import UsageError
from evaluator.records import Interpolation, Preprocessing, Score
from evaluator.text import did_you_mean

DEFAULT_WEIGHTS = "default"

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
    _, options = catalog.split_spec(f"{shown_key(key)}:{text}", key=shown_key(key))
    known = [field.name for field in fields(BackboneSpec)[1:]]
    for name in options:
        if name not in known:
            raise UsageError(
                f"backbone '{shown_key(key)}' has no option '{name}'",
                f"{did_you_mean(name, known)}it has {', '.join(known)}: -b "
                f"{shown_key(key)}:layer=NAME",
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
            f"a backbone of the plan is malformed: {error}",
            f"it has {', '.join(f.name for f in fields(BackboneSpec))}",
        ) from error
