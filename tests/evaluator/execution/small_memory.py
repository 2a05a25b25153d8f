"""The real evaluator in a worker with ``$CAMTUI_TEST_MIB`` MiB more than one image needs; 0: not
even those for one.
"""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from pathlib import Path

import torch

from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import EvaluationSession
from evaluator.records import Unit, UnitResult


class SmallMemorySession(EvaluationSession):
    _limited = False

    def evaluate(self, unit: Unit) -> UnitResult:
        if not self._limited:
            mebibytes = int(os.environ["CAMTUI_TEST_MIB"])
            if mebibytes:
                super().evaluate(
                    replace(unit, id=0, images=unit.images[:1])
                )  # what is allocated once is allocated now
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + mebibytes * 2**20,) * 2)
            self._ballast = [] if mebibytes else _ballast()
            self._limited = True
        return super().evaluate(unit)


def _ballast() -> list[torch.Tensor]:
    """All memory that was freed when the network was loaded, taken again."""
    taken: list[torch.Tensor] = []
    size = 64 << 20
    while size >= 1 << 18:
        try:
            taken.append(torch.empty(size, dtype=torch.uint8))
        except RuntimeError:
            size //= 2
    return taken


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def open_session(settings: SessionSettings) -> SmallMemorySession:
    return SmallMemorySession(settings)
