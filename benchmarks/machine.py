"""What every benchmark says of itself: the machine in a line, and its figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any


def machine_line() -> str:
    """Processor, cores, torch; the load says how far the machine was ours."""
    import torch

    from evaluator.networks.device import device_name

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    load = os.getloadavg()[0]
    return (
        f"{device_name(device)}, {os.cpu_count()} cores, {platform.machine()}, "
        f"torch {torch.__version__}, load {load:.1f}"
    )


def write_json(options: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    """Figures with the setting that made them, where ``--json FILE`` asks for them."""
    if options.json:
        setting = {name: str(value) for name, value in vars(options).items() if name != "json"}
        document = {"machine": machine_line(), "setting": setting, "results": results}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
