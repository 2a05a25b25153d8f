"""The versions that a result may depend on, read from what is installed; nothing is imported for it."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("torch", "torchvision", "textual")


def versions() -> dict[str, str]:
    """``camtui`` first, then Python, the packages that compute and draw, and SQLite."""
    packages = {name: _installed(name) for name in _PACKAGES}
    return {"camtui": _installed("camtui"), "python": platform.python_version(), **packages, "sqlite": sqlite3.sqlite_version}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
