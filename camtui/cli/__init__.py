"""The command line: ``main`` is the console script; ``commands/`` has one file for each command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command that was typed; never returns."""
    # Until the command runs: looking for garbage in what is imported took 33 of 162 ms.
    gc.disable()
    from camtui.cli.app import app
    from camtui.cli.console import prepare_streams

    prepare_streams()
    app(prog_name="camtui")
