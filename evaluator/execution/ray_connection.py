"""This process's one connection to Ray."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def connect_to(**options: Any) -> None:
    """Connect to the Ray that ``ray.init`` finds or starts with these options.

    Raises:
        Exception: ConnectionError, RuntimeError, ValueError or Ray's own, for one and the same
            trouble.
    """
    import ray

    with _signals_kept():
        ray.init(logging_level=logging.ERROR, configure_logging=True, log_to_driver=True, **options)


def disconnect() -> None:
    """End the connection, and the Ray that was started with it."""
    import ray

    ray.shutdown()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the driver's handlers of signals, which finish the units in flight; Ray sets its own."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
