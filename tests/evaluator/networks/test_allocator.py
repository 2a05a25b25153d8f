"""Freed blocks are kept: a second pass over large blocks asks the system for no page."""

from __future__ import annotations

import subprocess
import sys

import pytest

from evaluator.networks.device import keep_freed_blocks

_FAULTS = """
import ctypes, resource, sys
from evaluator.networks.device import keep_freed_blocks
assert sys.argv[1] != "keep" or keep_freed_blocks()
libc, block, size = ctypes.CDLL(None), ctypes.c_void_p(), ctypes.c_size_t(64 * 2**20)
for _ in range(12):  # the first ones find the heap still growing
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert not libc.posix_memalign(ctypes.byref(block), ctypes.c_size_t(64), size)  # as torch does
    ctypes.memset(block, 1, size.value)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_blocks(), reason="the C library is not glibc")
def test_a_block_of_64_megabytes_is_not_asked_for_again() -> None:
    """In processes of their own: the setting is the process's."""
    faults = {
        mode: int(
            subprocess.run(
                [sys.executable, "-c", _FAULTS, mode], check=True, capture_output=True, text=True
            ).stdout
        )
        for mode in ("keep", "default")
    }
    assert faults["keep"] < 100 < faults["default"]
