"""Calls of methods and metrics that may go wrong, and whose fault it is.

Exceptions, timeouts, wrong shapes, overwritten tensors, torch's state left changed: a fault costs
the method's own rows, no others.
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

from evaluator.catalog import formula, key_of
from evaluator.catalog import method as method_of
from evaluator.errors import (
    CamtuiError,
    MapUnusable,
    NoGradient,
    NoRelevance,
    is_out_of_memory,
    loses_device,
)
from evaluator.methods import all_methods
from evaluator.methods.base import Method
from evaluator.metrics import all_metrics
from evaluator.networks.global_state import ForeignCode
from evaluator.user_code import error_text

T = TypeVar("T")

MAX_TIMEOUTS = 2
"""Number of timeouts of a method in one session after which it is not called again."""


GLOBAL_STATE = "global-state"
"""Reason of a fault: torch's state of the process was left otherwise than it was."""

NO_RANDOM_WEIGHTS = "no-random-weights"
"""Reason of a fault: the network cannot be run with random weights."""


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


def is_own(method: Method) -> bool:
    """Tell whether a method is one of camtui's."""
    kind = all_methods().get(method.key)
    return kind is not None and isinstance(method, kind)


def made_method(spec: str) -> Method:
    """Make a method by its spec; what its class does to torch's state meanwhile is undone."""
    if key_of(spec) in all_methods():
        return method_of(spec)
    with ForeignCode():
        return method_of(spec)


def call_method(method: Method, compute: Callable[[], T]) -> T:
    """Return the value of ``compute``, which calls the method.

    Raises:
        MethodFault: it has left torch's state of the process otherwise; that is put back.
    """
    if is_own(method):
        return compute()
    with ForeignCode() as code:
        value = compute()
    if code.changed:
        raise MethodFault(Fault(GLOBAL_STATE, f"{_location(method)} changes {code.changed}"))
    return value


def call_metric(key: str, function: Callable[..., T], *values: Any) -> T:
    """Call a function of a metric's formula; somebody else's gets tensors of its own.

    Raises:
        MethodFault: it has left torch's state of the process otherwise; that is put back.
    """
    if key in all_metrics():
        return function(*values)
    own = [one.clone() if isinstance(one, Tensor) else one for one in values]
    with ForeignCode() as code:
        value = function(*own)
    if code.changed:
        raise MethodFault(Fault(GLOBAL_STATE, f"{_line_of(function)} changes {code.changed}"))
    return value


def metric_fault(key: str, error: Exception) -> Fault:
    """Describe an exception of a metric's formula: ``mymetric.py:12: ValueError: …``."""
    if isinstance(error, MethodFault) and error.fault.reason in (GLOBAL_STATE, NO_RANDOM_WEIGHTS):
        return error.fault
    told = error_text(error, Path(formula(key).__file__ or "/").parent)
    return Fault("metric-raised", told, by_image=True)


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
            return call_method(method, lambda: self._watched(method, compute))
        except _MethodTimeout as error:
            self._timeouts[method.name] += 1
            where = _error_text_of(method, error).partition(" _MethodTimeout")[0].rstrip(":")
            raise MethodFault(
                Fault("hangs", f"{where}: no end and no forward pass in {self._seconds:g} s")
            ) from error
        except MethodFault:
            raise
        except (NoGradient, NoRelevance) as error:
            raise MethodFault(Fault(error.kind, error.message)) from error
        except MapUnusable as error:
            raise MethodFault(Fault(error.reason, error.message, by_image=True)) from error
        except Exception as error:
            if not is_formula_error(error):
                raise
            raise MethodFault(
                Fault("method-raised", _error_text_of(method, error), by_image=True)
            ) from error

    def _watched(self, method: Method, compute: Callable[[], T]) -> T:
        with self._watchdog(method):
            return compute()

    @contextmanager
    def _watchdog(self, method: Method) -> Iterator[None]:
        """Interrupt a method without progress; outside the main thread only the driver does."""
        main = threading.current_thread() is threading.main_thread()
        if not self._seconds or not main or is_own(method):
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


def check_image_map(method: Method, found: Any, images: int, side: int) -> Tensor:
    """Return what an ``ImageMethod`` has computed, if it is a map for each image.

    Raises:
        MethodFault: it is something else, or a side is longer than that of the input.
    """
    given = tuple(found.shape[1:]) if isinstance(found, Tensor) and found.ndim == 3 else ()
    height, width = (min(max(each, 1), side) for each in given or (side, side))
    return check_shape(method, found, (images, height, width))


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
    function: Callable[..., Any] = getattr(type(method), method.formula)
    return function


def _location(method: Method) -> str:
    """Name a method's formula and its line: ``mycam.py:12: MyCAM.combine``."""
    place, _, name = _line_of(_formula(method)).rpartition(" ")
    return f"{place} {type(method).__name__}.{name}"


def _line_of(function: Callable[..., Any]) -> str:
    """Name a function and its line: ``mymetric.py:12: measure``."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # an object that can be called
        return f"{type(function).__module__}: {type(function).__name__}"
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}: {code.co_name}"


def _error_text_of(method: Method, error: BaseException) -> str:
    return error_text(error, Path(inspect.unwrap(_formula(method)).__code__.co_filename).parent)
