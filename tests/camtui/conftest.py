"""Homes of their own, and runs under way, for every test of the package."""

from __future__ import annotations

from tests.camtui.cli.support import closed, home, slow, two_runs

__all__ = ["closed", "home", "slow", "two_runs"]
