"""``evaluator.measuring.machine`` on a machine with the pretended GPU: what ``camtui doctor``
runs in a test, on two images.
"""

from __future__ import annotations

from evaluator.child import serve
from evaluator.measuring import machine
from tests.evaluator.pretend_gpu import pretend_gpu

if __name__ == "__main__":
    machine._IMAGES = 2
    with pretend_gpu():
        serve(machine.answer)
