"""Errors that camtui raises on purpose: what was given, what was expected, what to type next.

    CamtuiError                 exit code   meaning
    ├── UsageError                  2       the request is wrong (unknown name, bad option)
    ├── NotFound                    4       nothing matched: no such run, cell or image
    ├── Mismatch                    4       the run on disk and the request disagree
    ├── StoreError                  4       the file is not a run of ours, or is damaged
    ├── TryAgain                    3       busy: another driver holds the run, the device is taken
    ├── StateChanged                4       a network that leaves torch's state changed
    ├── UnstableAnswer              4       a network's answer is no function of the image alone
    ├── BackboneUnavailable         1       weights are not at hand and cannot be fetched
    ├── RunFailed                   1       the evaluation could not go on
    ├── ThresholdPassed             5       finished, but above a limit that the user set
    ├── NotApplicable               2       a method that this backbone does not admit
    ├── NoGradient                  2       a method that needs a gradient which reaches no layer
    ├── NoRelevance                 2       LRP, of a network that its rules do not know
    ├── CodeNotAllowed              2       code that the user has not allowed to run here
    ├── OutputUnwritable            1       standard output is full or closed
    ├── MapUnusable                 1       one image's map of those that were made elsewhere
    ├── ImageUnreadable             1       one image: costs one failure row per cell, never the run
    └── TruthUnusable               1       one image's truth: costs it the metrics that need one

The library raises; the command line turns an error into one line, a hint and the exit code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar


class CamtuiError(Exception):
    """Base of every error raised on purpose.

    Args:
        message: what was given and what was expected, one line.
        hint: the next command to type, or an empty string where there is none.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_dict(self) -> dict[str, Any]:
        """Kind, message, hint and exit code: how an error travels from a child process."""
        return {
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> CamtuiError:
        """The error of ``to_dict``; of a kind that is not known here a ``RunFailed``."""
        kinds = {kind.kind: kind for kind in _kinds_of(CamtuiError)}
        return kinds.get(values["kind"], RunFailed)(values["message"], values["hint"])


def _kinds_of(parent: type[CamtuiError]) -> Iterator[type[CamtuiError]]:
    """Yield the errors below one that are made of a message and a hint."""
    for kind in parent.__subclasses__():
        if kind.__init__ is CamtuiError.__init__:
            yield kind
        yield from _kinds_of(kind)


class UsageError(CamtuiError):
    """The request itself cannot be met as it was typed."""

    exit_code = 2
    kind = "usage"


class NotApplicable(UsageError):
    """A method that needs something this backbone does not have, as CAM a GAP + linear head."""

    kind = "not-applicable"


class NoGradient(UsageError):
    """A gradient that a method asks for, of a network that detaches what is behind the layer."""

    kind = "no-gradient"


class NoRelevance(UsageError):
    """A network through which LRP has no rules, or the library that has them is missing."""

    kind = "no-relevance"


class CodeNotAllowed(UsageError):
    """Code that a file names and the user has not allowed; it is not imported before."""

    kind = "not-allowed"


class NotFound(CamtuiError):
    """No run, cell or image of that name."""

    exit_code = 4
    kind = "not-found"


class Mismatch(CamtuiError):
    """The stored run and the request differ where they must agree; the message says in what."""

    exit_code = 4
    kind = "mismatch"


ANSWERS_OTHERWISE = "answers otherwise"
"""Words of the ``Mismatch`` of a network whose answers are not those of the run's rows."""


DATA_GONE = "the data folder is gone"
"""First words of the reason of a pause that ends when the folder is back."""

NO_VALUE = "no value in "
"""First words of the reason why a run with a cell without any value has failed."""


class StoreError(CamtuiError):
    """A database that is not a camtui run, is newer than this camtui, or is damaged."""

    exit_code = 4
    kind = "store"


class TryAgain(CamtuiError):
    """Busy for now: the same command may succeed later."""

    exit_code = 3
    kind = "busy"


class UnstableAnswer(CamtuiError):
    """A network whose answer to an image is another one the next time, or beside other images."""

    exit_code = 4
    kind = "unstable"


UNSTABLE = ("answers differently each time", "answer depends on the images beside it")
"""Words of every such error: a run's last message tells its kind by them."""


class BackboneUnavailable(CamtuiError):
    """The weights are not on this machine and cannot be fetched."""

    kind = "weights"


class StateChanged(CamtuiError):
    """A network that leaves torch's state of the process otherwise than it was."""

    exit_code = 4
    kind = "global-state"


class RunFailed(CamtuiError):
    """The evaluation stopped and will not get further by itself."""

    kind = "failed"


class ThresholdPassed(CamtuiError):
    """The run ended, but a limit that the user set (``--max-failures``) was passed."""

    exit_code = 5
    kind = "threshold"


class OutputUnwritable(CamtuiError):
    """Standard output takes nothing: its disk is full, or it is closed."""

    kind = "output"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, on the device or on the host.

    Told by name and words, so that nobody need import torch to ask: ``torch.OutOfMemoryError`` from
    its GPU allocator, ``MemoryError`` from Python, numpy and Pillow, and a bare ``RuntimeError``
    from its CPU allocator and from CUDA's libraries.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = (
    "can't allocate memory",
    "could not create a primitive",  # oneDNN, which has no other words for it
    "could not create a memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "unable to find an engine",  # cuDNN, where no algorithm's workspace fits
)


def loses_device(error: BaseException) -> bool:
    """Whether an exception's words mean a lost CUDA context: every later call fails too."""
    return any(words in f"{type(error).__name__}: {error}" for words in _LOST_DEVICE)


_LOST_DEVICE = (
    "CUDA error",
    "device-side assert",
    "CUBLAS_STATUS",
    "CUDNN_STATUS",
    "unspecified launch failure",
)


class ImageUnreadable(CamtuiError):
    """One image that cannot be decoded.

    Args:
        reason: a stable short word for grouping: ``missing``, ``not-an-image``, ``truncated``,
            ``damaged``, ``too-large``, ``changed``, ``not-a-file``, ``outside-root``,
            ``permission``, ``io-error``, ``value-range``, ``unsupported``.
        message: one line for people.
    """

    kind = "image"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class MapUnusable(CamtuiError):
    """One image without a map among those that were made elsewhere.

    Args:
        reason: a stable short word for grouping: ``map-missing``, ``map-broken``, ``map-size``,
            ``map-not-finite``, ``map-changed``.
        message: one line for people.
    """

    kind = "map"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TruthUnusable(CamtuiError):
    """One image whose object's pixels are not known.

    Args:
        reason: a stable short word for grouping: ``no-truth``, ``truth-empty``, ``truth-size``,
            ``truth-broken``.
        message: one line for people.
    """

    kind = "truth"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
