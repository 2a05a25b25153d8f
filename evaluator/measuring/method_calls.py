"""Calls of methods that may go wrong: exceptions, timeouts, wrong shapes, overwritten tensors.

A fault costs the method's own rows, no others.
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

MAX_TIMEOUTS = 2
"""Number of timeouts of a method in one session after which it is not called again."""


@dataclass(frozen=True)
class Fault:
    """Why a method has no map for some images.

    Attributes:
        reason: stable short word for grouping; ``detail``: one line for people, with the line of
            the method's file.
        by_image: another image may fare better.
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
    """Tell whether an exception is the formula's own: no memory, device or camtui error."""
    return not (isinstance(error, CamtuiError) or is_out_of_memory(error) or loses_device(error))


def metric_error_text(key: str, error: Exception) -> str:
    """Describe an exception of a metric's formula: ``mymetric.py:12: ValueError: …``."""
    return error_text(error, Path(formula(key).__file__ or "/").parent)


class _MethodTimeout(BaseException):
    """A method made no forward pass in time; raised in the line where it is.

    A ``BaseException``, so that no ``except Exception`` of the method stops it.
    """


class Guard:
    """Calls methods, and turns what goes wrong in them into a ``MethodFault``.

    Args:
        seconds: how long a method that is not camtui's own may go without a forward pass; 0 for no
            limit.
        forwards: counts the forward passes so far.
    """

    def __init__(self, seconds: float, forwards: Callable[[], int]) -> None:
        self._seconds = seconds
        self._forwards = forwards
        self._timeouts: Counter[str] = Counter()

    def call(self, method: Method, compute: Callable[[], T]) -> T:
        """Return the value of ``compute``, which calls the method.

        Raises:
            MethodFault: the method raised, or took too long.
            Exception: memory ran out or the device is lost, which is not the method's doing.
        """
        if self._timeouts[method.name] >= MAX_TIMEOUTS:
            told = f"took longer than {self._seconds:g} s before, and is not tried again"
            raise MethodFault(Fault("hangs", f"{_location(method)} {told}"))
        try:
            with self._watchdog(method):
                return compute()
        except _MethodTimeout as error:
            self._timeouts[method.name] += 1
            where = _error_text_of(method, error).partition(" _MethodTimeout")[0].rstrip(":")
            raise MethodFault(
                Fault("hangs", f"{where}: no end and no forward pass in {self._seconds:g} s")
            ) from error
        except MethodFault:
            raise
        except Exception as error:
            if not is_formula_error(error):
                raise
            raise MethodFault(
                Fault("method-raised", _error_text_of(method, error), by_image=True)
            ) from error

    @contextmanager
    def _watchdog(self, method: Method) -> Iterator[None]:
        """Interrupt a method without progress; outside the main thread only the driver does."""
        main = threading.current_thread() is threading.main_thread()
        if not self._seconds or not main or type(method) in all_methods().values():
            yield
            return
        seen = self._forwards()

        def check_progress(_number: int, _frame: FrameType | None) -> None:
            nonlocal seen
            if self._forwards() == seen:
                raise _MethodTimeout
            seen = self._forwards()

        before = signal.signal(signal.SIGALRM, check_progress)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def check_shape(method: Method, found: Any, shape: tuple[int, ...]) -> Tensor:
    """Return what a method has computed, if it is a map for each image.

    Raises:
        MethodFault: it is something else.
    """
    if not isinstance(found, Tensor):
        raise MethodFault(
            Fault(
                "wrong-shape",
                f"{_location(method)} returned {type(found).__name__}, not a tensor {list(shape)}",
            )
        )
    if tuple(found.shape) != shape:
        raise MethodFault(
            Fault(
                "wrong-shape",
                f"{_location(method)} returned a tensor {list(found.shape)}, not {list(shape)}",
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
            Fault(
                "overwrites", f"{_location(method)} overwrites the view's {' and '.join(written)}"
            )
        )


def _formula(method: Method) -> Callable[..., Any]:
    return type(method).fixed_map if isinstance(method, FixedMap) else type(method).combine


def _location(method: Method) -> str:
    """Name a method's formula and its line: ``mycam.py:12: MyCAM.combine``."""
    code = inspect.unwrap(_formula(method)).__code__
    file, name = Path(code.co_filename).name, type(method).__name__
    return f"{file}:{code.co_firstlineno}: {name}.{code.co_name}"


def _error_text_of(method: Method, error: BaseException) -> str:
    return error_text(error, Path(inspect.unwrap(_formula(method)).__code__.co_filename).parent)
