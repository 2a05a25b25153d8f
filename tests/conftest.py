"""What holds for all tests."""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell starts what it puts in the background with Ctrl-C ignored, and every program started from there inherits that: tests
that type Ctrl-C would wait for ever."""
