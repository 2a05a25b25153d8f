"""One CAM method per file; a new file in this folder is a new method."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from evaluator.methods.base import Method


@cache
def all_methods() -> dict[str, type[Method]]:
    """Every method of this package by key: those of the paper's Table 2, then the others."""
    found: dict[str, type[Method]] = {}
    for module_info in iter_modules(__path__):
        module = import_module(f"{__name__}.{module_info.name}")
        for _, member in inspect.getmembers(module, inspect.isclass):
            if (
                issubclass(member, Method)
                and member.__module__ == module.__name__
                and "key" in vars(member)
            ):
                found[member.key] = member
    paper_order = (
        "fakecam",
        "cam",
        "gradcam",
        "xgradcam",
        "gradcampp",
        "smoothgradcampp",
        "scorecam",
    )
    rank = {key: place for place, key in enumerate(paper_order)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))
