"""Formatting imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys


def test_format_is_light() -> None:
    code = (
        "import sys, camtui.format, camtui.export, camtui.paper, "
        "camtui.compare; print(*sys.modules)"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
    )
    assert not loaded & {
        "torch",
        "numpy",
        "textual",
        "PIL",
        "pyarrow",
        "matplotlib",
        "sqlite_utils",
        "rich",
    }
