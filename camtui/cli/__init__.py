"""The command line: ``main`` is the console script; each module beside this one adds its commands to ``app``."""

from __future__ import annotations


def main() -> None:
    """Run the command that was typed; never returns."""
    from camtui.cli import bench, control, listing, results, run, setup, watch  # noqa: F401  each adds its commands
    from camtui.cli.app import app

    app(prog_name="camtui")
