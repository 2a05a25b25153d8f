"""The command line: ``main`` is the console script; ``commands/`` has one file for each command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command that was typed; never returns."""
    gc.disable()  # until the command runs: looking for garbage in what is imported took 33 of 162 ms
    from camtui.cli.app import app

    app(prog_name="camtui")
