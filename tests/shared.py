"""Where the project's shared material lies: beside the checkout; tests that need it are skipped
elsewhere, with the reason.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
SAMPLE = SHARED / "imagenet-sample"
REFERENCE = SHARED / "reference"

needs_sample = pytest.mark.skipif(
    not SAMPLE.is_dir(), reason=f"the 250 sample images are not at {SAMPLE}"
)
