"""Options that the benchmarks of networks share, and the ``camtui run`` that they time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def network_options(
    about: str | None, *, images: int, weights: str = "default"
) -> argparse.ArgumentParser:
    """A parser with the options that all of them have.

    ``--data``, ``--backbone``, ``--weights``, ``--device``, ``--images``, ``--json``.

    Args:
        about: the benchmark's docstring.
        images: how many by default; ``weights``: likewise, of torchvision's backbones.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of images")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default=weights, help="of torchvision backbones")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser


def run_command(
    data: Path, backbone: str, methods: str, images: int, *, weights: str = "default"
) -> list[str]:
    """A ``camtui run`` in the foreground, without output, on the first images of a folder."""
    return [
        *(sys.executable, "-m", "camtui", "run", "-F", "-q"),
        *("--data", str(data), "-b", backbone, "-m", methods, "-n", str(images)),
        *(() if weights == "default" else ("--weights", weights)),
    ]
