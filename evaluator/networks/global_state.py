"""Torch's state of the process and of the thread, put back after every call of the user's code.

A default dtype, an autocast or a number of threads that one method leaves behind would change the
numbers of all others. Two kinds of state are told apart:

- what changes how numbers are computed (``_SETTINGS``): put back, and the call has failed;
- what code may set for itself (random state, numpy's error handling, warning filters, environment,
  working directory): put back without a word. Random generators begin every call at one seed, so
  that what a method draws from them does not depend on who drew before.

Code that sets something and puts it back itself (``with torch.autocast(…)``) does nothing wrong;
what it asks of camtui meanwhile is computed as camtui's settings are (``in_own_settings``).
"""

from __future__ import annotations

import os
import random
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

import numpy as np
import torch
import torch.nn.modules.module as module_hooks
import torch.utils._device as device_mode
from PIL import Image, ImageFile
from torch.utils import _python_dispatch as dispatch_modes
from torch.utils import deterministic

P = ParamSpec("P")
T = TypeVar("T")

_C: Any = torch._C
_backends: Any = torch.backends
_numpy_random: Any = np.random
_cuda_in_use: Callable[[], bool] = torch.cuda.is_initialized


class _Setting(NamedTuple):
    """Something that is set for the whole process or thread, under the name it is known by."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


class _Local(threading.local):
    """Of one thread.

    Attributes:
        before: the settings before each call of foreign code that has not ended, outermost first.
        alone: whether such a call has random generators of its own.
        inference: the inference modes that were entered to put one back.
    """

    def __init__(self) -> None:
        self.before: list[tuple[Any, ...]] = []
        self.alone = False
        self.inference: list[torch.inference_mode] = []


_local = _Local()


def _restack(
    length: Callable[[], int],
    at: Callable[[int], Any],
    pop: Callable[[], Any],
    push: Callable[[Any], object],
) -> tuple[Callable[[], tuple[Any, ...]], Callable[[Sequence[Any]], None]]:
    """How a stack of modes is read and written."""

    def read() -> tuple[Any, ...]:
        return tuple(at(place) for place in range(length()))

    def write(wanted: Sequence[Any]) -> None:
        found = read()
        same = 0
        while same < min(len(found), len(wanted)) and found[same] is wanted[same]:
            same += 1
        for _ in found[same:]:
            pop()
        for mode in wanted[same:]:
            push(mode)

    return read, write


_read_functions, _write_functions = _restack(
    _C._len_torch_function_stack,
    _C._get_function_stack_at,
    _C._pop_torch_function_stack,
    _C._push_on_torch_function_stack,
)
_read_dispatches, _write_dispatches = _restack(
    _C._len_torch_dispatch_stack,
    _C._get_dispatch_stack_at,
    dispatch_modes._pop_mode,
    dispatch_modes._push_mode,
)


def _read_device() -> tuple[Any, Any]:
    """The context of ``torch.set_default_device``, and that of ``with torch.device(…)``."""
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), device_mode.CURRENT_DEVICE


def _write_device(wanted: tuple[Any, Any]) -> None:
    torch._GLOBAL_DEVICE_CONTEXT.device_context, device_mode.CURRENT_DEVICE = wanted


def _write_inference_mode(enabled: bool) -> None:
    """Enter a mode, or leave the one that was entered here before."""
    if _local.inference and _local.inference[-1].mode != enabled:
        _local.inference.pop().__exit__(None, None, None)
    if torch.is_inference_mode_enabled() != enabled:
        mode = torch.inference_mode(enabled)
        mode.__enter__()
        _local.inference.append(mode)


_AUTOCAST = ("cpu", "cuda")


def _read_autocast() -> tuple[Any, ...]:
    """Whether and to which dtype each device casts, how casts are cached, and how deep it nests."""
    torch.autocast_increment_nesting()
    depth = torch.autocast_decrement_nesting()
    each = [(torch.is_autocast_enabled(one), torch.get_autocast_dtype(one)) for one in _AUTOCAST]
    return (*each, torch.is_autocast_cache_enabled(), depth)


def _write_autocast(wanted: tuple[Any, ...]) -> None:
    *each, cached, depth = wanted
    for device, (enabled, dtype) in zip(_AUTOCAST, each, strict=True):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)
    torch.set_autocast_cache_enabled(cached)
    torch.clear_autocast_cache()
    while (now := torch.autocast_increment_nesting() - 1) < depth:
        pass
    torch.autocast_decrement_nesting()
    for _ in range(now - depth):
        torch.autocast_decrement_nesting()


_SMALLEST, _ONE = 5e-324, 1.0


def _flushes_denormal() -> bool:
    """Torch does not tell; the processor does."""
    return _SMALLEST * _ONE == 0.0


def _read_deterministic() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        _C._get_deterministic_fill_uninitialized_memory(),
    )


def _write_deterministic(wanted: tuple[bool, bool, bool]) -> None:
    enabled, warn_only, deterministic.fill_uninitialized_memory = wanted  # type: ignore[attr-defined]  # a property of the module
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)


_OPERATIONS = (
    ("generic", "all"),
    ("cuda", "all"),
    ("cuda", "matmul"),
    ("cuda", "conv"),
    ("cuda", "rnn"),
    ("mkldnn", "all"),
    ("mkldnn", "matmul"),
    ("mkldnn", "conv"),
    ("mkldnn", "rnn"),
)
"""What ``fp32_precision`` can be set for; one that is not set takes that of those before it."""

_read_precision = _C._get_fp32_precision_getter
_write_precision = _C._set_fp32_precision_setter


_MIXED = "mixed"


def _of_older_switch(read: Callable[[], Any]) -> Any:
    """What an older switch says; torch does not tell where newer ones contradict each other."""
    try:
        return read()
    except RuntimeError:
        return _MIXED


def _read_matmul_precision() -> Any:
    return _of_older_switch(_C._get_float32_matmul_precision)


def _write_matmul_precision(wanted: Any) -> None:
    if wanted != _MIXED:
        _C._set_float32_matmul_precision(wanted)


def _read_precisions() -> tuple[Any, ...]:
    return (
        _of_older_switch(_C._get_cudnn_allow_tf32),
        *(_read_precision(backend, kind) for backend, kind in _OPERATIONS),
    )


def _write_precisions(wanted: tuple[Any, ...]) -> None:
    if wanted[0] not in (_MIXED, _of_older_switch(_C._get_cudnn_allow_tf32)):
        _C._set_cudnn_allow_tf32(wanted[0])
    for (backend, kind), value in zip(_OPERATIONS, wanted[1:], strict=True):
        if _read_precision(backend, kind) != value:
            _write_precision(backend, kind, value)


_HOOKS: tuple[dict[int, Any], ...] = (
    module_hooks._global_buffer_registration_hooks,
    module_hooks._global_module_registration_hooks,
    module_hooks._global_parameter_registration_hooks,
    module_hooks._global_backward_pre_hooks,
    module_hooks._global_backward_hooks,
    module_hooks._global_forward_pre_hooks,
    module_hooks._global_forward_hooks,
    module_hooks._global_forward_hooks_always_called,
    module_hooks._global_forward_hooks_with_kwargs,
)
"""Of every module: ``torch.nn.modules.module.register_module_forward_hook`` and its kin."""


def _read_hooks() -> tuple[Any, ...]:
    return tuple(tuple(hooks.items()) for hooks in _HOOKS) if any(_HOOKS) else ()


def _write_hooks(wanted: tuple[Any, ...]) -> None:
    for place, hooks in enumerate(_HOOKS):
        hooks.clear()
        hooks.update(wanted[place] if wanted else ())


def _read_saved_tensors_hooks() -> Any:
    return _C._autograd._top_saved_tensors_default_hooks(True)


def _write_saved_tensors_hooks(wanted: Any) -> None:
    while (top := _read_saved_tensors_hooks()) is not None and top != wanted:
        _C._autograd._pop_saved_tensors_default_hooks()
    if top != wanted:
        _C._autograd._push_saved_tensors_default_hooks(*wanted)


def _read_cuda() -> tuple[Any, ...]:
    """Device and stream; nothing while CUDA is not in use."""
    if not _cuda_in_use():
        return ()
    return (torch.cuda.current_device(), torch.cuda.current_stream())


def _write_cuda(wanted: tuple[Any, ...]) -> None:
    if wanted:
        torch.cuda.set_device(wanted[0])
        torch.cuda.set_stream(wanted[1])


def _same(name: str, place: str) -> _Setting:
    """A setting that torch keeps in C, with one function to read it and one to write it."""
    return _Setting(name, getattr(_C, f"_get_{place}"), getattr(_C, f"_set_{place}"))


def _write_anomaly(wanted: tuple[bool, bool]) -> None:
    torch.set_anomaly_enabled(*wanted)


def _write_pillow(wanted: tuple[Any, Any]) -> None:
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = wanted


_SETTINGS: tuple[_Setting, ...] = (
    # modes first: what is written afterwards must not pass through them
    _Setting("torch's function modes", _read_functions, _write_functions),
    _Setting("torch's dispatch modes", _read_dispatches, _write_dispatches),
    _Setting("torch's default device", _read_device, _write_device),
    _Setting("torch's inference mode", torch.is_inference_mode_enabled, _write_inference_mode),
    _Setting("torch's grad mode", torch.is_grad_enabled, _C._set_grad_enabled),
    _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    _Setting("torch's autocast", _read_autocast, _write_autocast),
    _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    _Setting("torch's flushing of denormals", _flushes_denormal, torch.set_flush_denormal),
    _Setting("torch's deterministic algorithms", _read_deterministic, _write_deterministic),
    _Setting("torch's float32 matmul precision", _read_matmul_precision, _write_matmul_precision),
    _Setting("torch's float32 precision", _read_precisions, _write_precisions),
    _same("cuDNN (enabled)", "cudnn_enabled"),
    _same("cuDNN (benchmark)", "cudnn_benchmark"),
    _same("cuDNN (deterministic)", "cudnn_deterministic"),
    _Setting(
        "cuBLAS (float16 reductions)",
        _C._get_cublas_allow_fp16_reduced_precision_reduction,
        lambda value: _C._set_cublas_allow_fp16_reduced_precision_reduction(*value),
    ),
    _Setting(
        "cuBLAS (bfloat16 reductions)",
        _C._get_cublas_allow_bf16_reduced_precision_reduction,
        lambda value: _C._set_cublas_allow_bf16_reduced_precision_reduction(*value),
    ),
    _same("cuBLAS (float16 sums)", "cublas_allow_fp16_accumulation"),
    _same("oneDNN (enabled)", "mkldnn_enabled"),
    _same("oneDNN (deterministic)", "mkldnn_deterministic"),
    _same("NNPACK (enabled)", "nnpack_enabled"),
    _Setting("torch's flash attention", _C._get_flash_sdp_enabled, _C._set_sdp_use_flash),
    _Setting(
        "torch's memory-efficient attention",
        _C._get_mem_efficient_sdp_enabled,
        _C._set_sdp_use_mem_efficient,
    ),
    _Setting("torch's plain attention", _C._get_math_sdp_enabled, _C._set_sdp_use_math),
    _Setting("cuDNN's attention", _C._get_cudnn_sdp_enabled, _C._set_sdp_use_cudnn),
    _Setting(
        "the fast path of torch's attention",
        _backends.mha.get_fastpath_enabled,
        _backends.mha.set_fastpath_enabled,
    ),
    _same("torch's library for linear algebra", "linalg_preferred_backend"),
    _same("torch's library for matrix products", "blas_preferred_backend"),
    _Setting(
        "torch's anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        _write_anomaly,
    ),
    _Setting("torch's hooks on all modules", _read_hooks, _write_hooks),
    _Setting("torch's saved-tensor hooks", _read_saved_tensors_hooks, _write_saved_tensors_hooks),
    _Setting("the CUDA device or stream", _read_cuda, _write_cuda),
    _Setting(
        "Pillow's limits",
        lambda: (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS),
        _write_pillow,
    ),
)


def _state() -> tuple[Any, ...]:
    return tuple(one.read() for one in _SETTINGS)


def _put_back(wanted: tuple[Any, ...]) -> None:
    """Write what differs; one setting may have changed another."""
    for one, value in zip(_SETTINGS, wanted, strict=True):
        if one.read() != value:
            one.write(value)


def _changes(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    """Name what differs: ``torch's default dtype from float32 to float64, torch's autocast``."""
    found = []
    for one, old, new in zip(_SETTINGS, before, after, strict=True):
        if old != new:
            plain = isinstance(old, bool | int | str | torch.dtype)
            words = [str(value).removeprefix("torch.") for value in (old, new)]
            found.append(f"{one.name} from {words[0]} to {words[1]}" if plain else one.name)
    return ", ".join(found)


_NUMPY = np.random.MT19937(0)


class _Surroundings:
    """Random state, numpy's error handling, warning filters, environment and working directory."""

    def __init__(self) -> None:
        self._torch = [one.get_state() for one in _generators()]
        self._numpy, self._python = _numpy_random.get_bit_generator(), random.getstate()
        self._errors, self._filters = np.geterr(), list(warnings.filters)
        self._environment, self._folder = dict(os.environb), _folder()

    def seed(self) -> None:
        """Begin again at one seed; numpy's functions draw from a generator of our own meanwhile."""
        for generator in _generators():
            generator.manual_seed(0)
        _numpy_random.set_bit_generator(_NUMPY)
        np.random.seed(0)
        random.seed(0)

    def put_back(self) -> None:
        for generator, state in zip(_generators(), self._torch, strict=False):
            generator.set_state(state)
        _numpy_random.set_bit_generator(self._numpy)
        random.setstate(self._python)
        np.seterr(**self._errors)
        if warnings.filters != self._filters:
            with warnings.catch_warnings():  # leaving it makes Python forget what it has looked up
                pass
            warnings.filters[:] = self._filters  # type: ignore[index]  # a list
        if dict(os.environb) != self._environment:
            os.environb.clear()
            os.environb.update(self._environment)
        if self._folder and _folder() != self._folder:
            with suppress(OSError):
                os.chdir(self._folder)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return ""


def _generators() -> tuple[torch.Generator, ...]:
    cuda = torch.cuda.default_generators if _cuda_in_use() else ()
    return (torch.default_generator, *cuda)


class ForeignCode:
    """Context of one call of code that is not camtui's: the state is put back behind it.

    Args:
        alone: it begins with seeded random generators, and gets random state, numpy's error
            handling, warning filters, environment and working directory put back too; ``False``
            for what is called thousands of times, and for imports, which may set up a library.

    Attributes:
        changed: what it left otherwise than it was, for people; empty for nothing.
    """

    def __init__(self, *, alone: bool = True) -> None:
        self._alone = alone
        self.changed = ""

    def __enter__(self) -> Self:
        self._before = _state()
        _local.before.append(self._before)
        self._surroundings = _Surroundings() if self._alone and not _local.alone else None
        if self._surroundings is not None:
            _local.alone = True
            self._surroundings.seed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _local.before.pop()
        after = _state()
        if after != self._before:
            self.changed = _changes(self._before, after)
            _put_back(self._before)
        if self._surroundings is not None:
            _local.alone = False
            self._surroundings.put_back()


def in_own_settings(function: Callable[P, T]) -> Callable[P, T]:
    """Compute something for foreign code in the settings that were there before it was called.

    Others will read the result too.
    """

    @wraps(function)
    def computed(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _local.before or (now := _state()) == (own := _local.before[-1]):
            return function(*args, **kwargs)
        _put_back(own)
        try:
            return function(*args, **kwargs)
        finally:
            _put_back(now)

    return computed
