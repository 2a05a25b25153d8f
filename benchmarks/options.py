"""What every benchmark of a network is told in the same words."""

from __future__ import annotations

import argparse
from pathlib import Path


def network_options(
    about: str | None, *, images: int, weights: str = "default"
) -> argparse.ArgumentParser:
    """A parser with ``--data``, ``--backbone``, ``--weights``, ``--device``.

    ``--images`` and ``--json``.

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
