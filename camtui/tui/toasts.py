"""Toasts whose text comes from a run: safe characters, never markup."""

from __future__ import annotations

from typing import Any, Literal

from textual.app import App
from textual.widget import Widget

from evaluator.text import printable

Severity = Literal["information", "warning", "error"]

_SECONDS = 5


def toast(node: App[Any] | Widget, text: str, severity: Severity = "information") -> None:
    """Show a text for a moment in the corner of the application."""
    node.notify(printable(text), severity=severity, markup=False, timeout=_SECONDS)
