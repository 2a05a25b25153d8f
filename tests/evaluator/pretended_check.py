"""``evaluator.measuring.device_check`` on a machine with the pretended GPU: what ``camtui doctor``
runs in a test.
"""

from __future__ import annotations

from evaluator.measuring import device_check
from tests.evaluator.pretend_gpu import pretend_gpu

if __name__ == "__main__":
    with pretend_gpu():
        device_check.main()
