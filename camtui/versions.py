"""The versions that a result may depend on, read from what is installed, without imports."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version

_ABSENT = "not installed"
_PACKAGES = ("torch", "torchvision", "textual")


def versions() -> dict[str, str]:
    """``camtui`` first, then Python, the packages that compute and draw, and SQLite."""
    packages = {name: _installed(name) for name in _PACKAGES}
    return {
        "camtui": _installed("camtui"),
        "python": platform.python_version(),
        **packages,
        "sqlite": sqlite3.sqlite_version,
    }


EXTRAS = {
    "demo": ("efficientnet-lite-pytorch", "scikit-image", "matplotlib"),
    "figures": ("matplotlib",),
    "parquet": ("pyarrow",),
    "images": ("textual-image",),
    "timm": ("timm",),
    "ray": ("ray",),
}
"""Extra → the packages that tell whether it is installed."""


def extras() -> str:
    """Return the installed extras and the others: ``demo, figures; not installed: ray``."""
    there = [
        name
        for name, packages in EXTRAS.items()
        if all(_installed(one) != _ABSENT for one in packages)
    ]
    absent = [name for name in EXTRAS if name not in there]
    parts = [", ".join(there)] if there else []
    return "; ".join(parts + ([f"not installed: {', '.join(absent)}"] if absent else []))


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT
