"""Networks of timm by name: ``timm/resnet50.a1_in1k``. An extra: ``pip install "camtui[timm]"``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from evaluator.backbones import Family, KnownBackbone
from evaluator.errors import BackboneUnavailable, UsageError
from evaluator.records import Interpolation, Preprocessing
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from torch import nn

    from evaluator.backbones import BackboneSpec
    from evaluator.networks.building import Built

PREFIX = "timm/"


class Timm(Family):
    """Networks, preprocessing and published weights of timm; weights may come from a file.

    >>> Timm().known("timm/resnet50.a1_in1k").key
    'timm/resnet50.a1_in1k'
    >>> Timm().known("timm/hf-hub:somebody/something") is None
    True
    """

    key = "timm"
    title = "timm's networks (extra timm)"
    spelled = "timm/NAME"
    rank = 3

    def known(self, key: str) -> KnownBackbone | None:
        """Everything behind ``timm/``; whether there is such a network, only timm can tell.

        Not ``hf-hub:`` and ``local-dir:``: a plan that somebody sends must not choose where timm
        fetches a network from.
        """
        named = key.startswith(PREFIX) and key != PREFIX and ":" not in key
        return KnownBackbone(key, key, self.key, preprocessing=None) if named else None

    def build(self, spec: BackboneSpec) -> Built:
        """The classes are ImageNet's where there are a thousand of them."""
        from evaluator.backbones import DEFAULT_WEIGHTS
        from evaluator.networks.building import (
            Built,
            class_count,
            empty_copy,
            fill_zero_heads,
            filled,
            is_random,
            seeded,
        )
        from evaluator.networks.weights import imagenet_classes, read_weights_file

        name = spec.key.removeprefix(PREFIX)
        if is_random(spec.weights):
            model = seeded(spec.weights, lambda: _created(name, spec))
            weights = spec.weights + fill_zero_heads(model, spec.weights)
            seen, remark = _preprocessing(model, spec)
            return Built(model, weights + remark, (), seen)
        if spec.weights == DEFAULT_WEIGHTS:
            model, weights = _published(name, spec), "timm's"
        else:
            empty = empty_copy(lambda: _created(name, spec))
            state, weights = read_weights_file(spec.weights, empty.state_dict())
            count = class_count(empty, state)
            model = _created(name, spec, **({"num_classes": count} if count else {}))
            filled(model, state, spec.key, weights)
        classes = imagenet_classes()
        seen, remark = _preprocessing(model, spec)
        return Built(
            model, weights + remark, classes if _count(model) == len(classes) else (), seen
        )


def _created(name: str, spec: BackboneSpec, **options: Any) -> nn.Module:
    """An empty network, at the asked side where its own is built in."""
    try:
        import timm
    except ImportError as error:
        raise BackboneUnavailable(
            f"{spec.key} needs timm, which is not installed", 'pip install "camtui[timm]"'
        ) from error
    if spec.side is not None:
        options["img_size"] = spec.side
    if spec.channels is not None:
        options["in_chans"] = spec.channels
    try:
        return _create(timm, name, options)
    except RuntimeError as error:
        near = did_you_mean(name, timm.list_models(pretrained=True) + timm.list_models())
        raise UsageError(
            f"timm cannot build '{printable(name)}': {printable(error, 120)}",
            f"{near}timm.list_models() has them all",
        ) from error


def _create(timm: Any, name: str, options: dict[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, **options)
    except TypeError:  # a convolutional network, which takes any side
        options.pop("img_size", None)
        model = timm.create_model(name, **options)
    return model


def _published(name: str, spec: BackboneSpec) -> nn.Module:
    try:
        return _created(name, spec, pretrained=True)
    except UsageError:
        raise
    except Exception as error:  # whatever a download may raise
        raise BackboneUnavailable(
            f"timm's weights of {printable(name)} are not on this machine and cannot be "
            f"fetched ({printable(error, 120)})",
            f"-b {spec.key}:weights=FILE.safetensors, or weights=random:0 to try things out",
        ) from error


def _count(model: nn.Module) -> int:
    return int(getattr(model, "num_classes", 0) or 0)


def _preprocessing(model: nn.Module, spec: BackboneSpec) -> tuple[Preprocessing, str]:
    """As timm evaluates it: the short side is the side divided by ``crop_pct``.

    Returns:
        Also a remark where timm would not crop the centre: here that is what happens.

    Raises:
        UsageError: timm's facts name a resizing that there is not here.
    """
    from timm.data.config import resolve_model_data_config

    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]  # timm's own
    channels, side, width = config["input_size"]
    if side != width and spec.side is None:
        raise UsageError(
            f"{spec.key} takes images of {side} × {width}, and the images here are square",
            f"-b {spec.key}:side={max(side, width)}",
        )
    known = {name: name for name in get_args(Interpolation)}
    interpolation = spec.interpolation or known.get(config["interpolation"])
    if interpolation is None:
        raise UsageError(
            f"timm resizes images for {spec.key} by '{printable(config['interpolation'], 40)}', "
            f"which is none of {', '.join(known)}",
            f"choose one: -b {spec.key}:interpolation=bicubic",
        )
    seen = Preprocessing(
        side=side,
        resize=math.floor(side / config["crop_pct"]),
        interpolation=interpolation,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        channels=channels,
    )
    mode = config["crop_mode"]
    return (
        seen,
        "" if mode == "center" else f" (centre crop; timm's own is {printable(mode, 20)})",
    )
