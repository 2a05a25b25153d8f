"""What a method does wrong costs its own rows.

What it raises, how long it takes, what it returns, what it overwrites.
"""

from __future__ import annotations

import inspect
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from torch import Tensor

from evaluator.catalog import formula
from evaluator.errors import CamtuiError, is_out_of_memory, loses_device
from evaluator.methods import all_methods
from evaluator.methods.base import FixedMap, Method
from evaluator.user_code import error_text

T = TypeVar("T")

HANGS = 2
"""So often a method may take too long in one session; then it is not called again."""


@dataclass(frozen=True)
class Fault:
    """Why a method has no map for some images.

    Attributes:
        reason: stable short word for grouping; ``detail``: one line for people, with the line of
        the method's file. by_image: another image may fare better.
    """

    reason: str
    detail: str
    by_image: bool = False


class MethodFault(Exception):
    """A method has done something wrong."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


def is_formula_error(error: Exception) -> bool:
    """Whether an exception is the doing of the formula that raised it, not of memory, a device.

    Or something said on purpose.
    """
    return not (isinstance(error, CamtuiError) or is_out_of_memory(error) or loses_device(error))


def metric_error_text(key: str, error: Exception) -> str:
    """``mymetric.py:12: ValueError: …``, what the formula of a metric has raised."""
    return error_text(error, Path(formula(key).__file__ or "/").parent)


class _TooLong(BaseException):
    """Raised by the clock within the method, in the line where it is.

    No ``except Exception`` of its own stops it.
    """


class Guard:
    """Calls methods, and turns what goes wrong in one into a ``MethodFault``.

    Args:
        seconds: how long a method that is not camtui's own may go without a forward pass; 0 for no
        limit. forwards: counts the forward passes so far.
    """

    def __init__(self, seconds: float, forwards: Callable[[], int]) -> None:
        self._seconds = seconds
        self._forwards = forwards
        self._hangs: Counter[str] = Counter()

    def call(self, method: Method, compute: Callable[[], T]) -> T:
        """What ``compute`` returns; it calls the method.

        Raises:
            MethodFault: the method raised, or took too long.
            Exception: memory ran out or the device is lost, which is not the method's doing.
        """
        if self._hangs[method.name] >= HANGS:
            again = f"{_named(method)} took longer than {self._seconds:g} s before, and is not tried again"
            raise MethodFault(Fault("hangs", again))
        try:
            with self._clock(method):
                return compute()
        except _TooLong as error:
            self._hangs[method.name] += 1
            where = _told(method, error).partition(" _TooLong")[0].rstrip(":")
            raise MethodFault(
                Fault("hangs", f"{where}: no end and no forward pass in {self._seconds:g} s")
            ) from error
        except MethodFault:
            raise
        except Exception as error:
            if not is_formula_error(error):
                raise
            raise MethodFault(
                Fault("method-raised", _told(method, error), by_image=True)
            ) from error

    @contextmanager
    def _clock(self, method: Method) -> Iterator[None]:
        """Interrupts a method that makes no progress.

        Outside the main thread only the driver's patience counts.
        """
        main = threading.current_thread() is threading.main_thread()
        if not self._seconds or not main or type(method) in all_methods().values():
            yield
            return
        seen = self._forwards()

        def look(_number: int, _frame: FrameType | None) -> None:
            nonlocal seen
            if self._forwards() == seen:
                raise _TooLong
            seen = self._forwards()

        before = signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def check_shape(method: Method, found: Any, shape: tuple[int, ...]) -> Tensor:
    """What a method has returned, if it is a map for each image.

    Raises:
        MethodFault: it is something else.
    """
    if not isinstance(found, Tensor):
        raise MethodFault(
            Fault(
                "wrong-shape",
                f"{_named(method)} returned {type(found).__name__}, not a tensor {list(shape)}",
            )
        )
    if tuple(found.shape) != shape:
        raise MethodFault(
            Fault(
                "wrong-shape",
                f"{_named(method)} returned a tensor {list(found.shape)}, not {list(shape)}",
            )
        )
    return found


def check_untouched(method: Method, written: Sequence[str]) -> None:
    """Refuse a method that has overwritten what other methods are about to read.

    Raises:
        MethodFault: it has.
    """
    if written:
        raise MethodFault(
            Fault("overwrites", f"{_named(method)} overwrites the view's {' and '.join(written)}")
        )


def _formula(method: Method) -> Callable[..., Any]:
    return type(method).fixed_map if isinstance(method, FixedMap) else type(method).combine


def _named(method: Method) -> str:
    """``mycam.py:12: MyCAM.combine``."""
    code = inspect.unwrap(_formula(method)).__code__
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}: {type(method).__name__}.{code.co_name}"


def _told(method: Method, error: BaseException) -> str:
    return error_text(error, Path(inspect.unwrap(_formula(method)).__code__.co_filename).parent)
