"""Names for people: a method's or a backbone's title in place of the key that is typed."""

from __future__ import annotations

from evaluator import catalog
from evaluator.backbones import known_backbone
from evaluator.errors import UsageError
from evaluator.text import printable


def method_title(spec: str) -> str:
    """Return ``Score-CAM (variant=cic)`` for ``scorecam:variant=cic``; others as they are."""
    key, _, options = spec.partition(":")
    try:
        title = catalog.method(key).title
    except UsageError:
        return printable(spec)
    return f"{title} ({options})" if options else title


def backbone_title(name: str) -> str:
    """Return ``VGG-16 (layer=features.29)`` for ``vgg16:layer=features.29``; others as they are."""
    key, _, options = name.partition(":")
    try:
        title = known_backbone(key).title
    except UsageError:
        return printable(name)
    return f"{title} ({options})" if options else title
