"""The command line: ``main`` is the console script; ``commands/`` has one file for each verb."""

from __future__ import annotations


def main() -> None:
    """Run the command that was typed; never returns."""
    from camtui.cli.app import app

    app(prog_name="camtui")
