"""A CUDA device that is not there: tensors that say ``cuda:0`` and keep their values on the CPU.

What it proves: every tensor is made on the right device, nothing is computed from tensors of two
devices, and how often the host waits for the device or copies to it without pinned memory. What it
does not: kernels, their speed, rounding, or memory.

    with pretend_gpu() as gpu:
        session = open_session(SessionSettings(plan, root, "cuda:0"))
        ...
        gpu.waits, gpu.copies

Python sees the device; torch's C++ sees CPU tensors, since a CUDA build without a driver can
neither index nor differentiate tensors that say otherwise to it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda:0")
NAME = "Pretend GPU"

_aten = torch.ops.aten
_WAITS = frozenset(
    {
        _aten._local_scalar_dense.default,
        _aten.nonzero.default,
        _aten.masked_select.default,
        _aten._unique2.default,
        _aten.unique_dim.default,
        _aten.equal.default,
        _aten.repeat_interleave.Tensor,
        _aten.is_nonzero.default,
        _aten.bincount.default,
        _aten._linalg_check_errors.default,
    }
)
"""What CUDA answers only when it has finished: a number for the host, or a result whose size
depends on values.
"""


_DEVICE_OF, _IS_CUDA = (vars(torch._C.TensorBase)[name].__get__ for name in ("device", "is_cuda"))


class DevicesMixed(Exception):
    """An operation on tensors of two devices, which CUDA would refuse."""


@dataclass
class PretendGpu:
    """What has been asked of the device.

    Attributes:
        waits: places in the evaluator where the host waits for the device, and how often. copies:
        places where it copies to the device from memory that is not pinned, or waits for the copy.
        operations: names of operations carried out on the device.
    """

    waits: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    pinned: dict[int, Any] = field(default_factory=dict)

    def forget(self) -> None:
        """Count from here on."""
        self.waits.clear()
        self.copies.clear()
        self.operations.clear()

    def pin(self, tensor: Tensor) -> Tensor:
        """Mark memory as pinned; it is kept, so that no other memory comes to lie there."""
        storage = tensor.untyped_storage()
        self.pinned[storage.data_ptr()] = storage
        return tensor

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether a tensor of the host lies in pinned memory."""
        return tensor.untyped_storage().data_ptr() in self.pinned

    def to_device(self, value: Tensor, *, non_blocking: bool) -> Tensor:
        """A tensor of the host on the device."""
        if not (non_blocking and self.is_pinned(value)) and value.numel():
            self.copies[_place()] += 1
        return OnDevice(value.detach().clone())

    def to_host(self, value: OnDevice) -> Tensor:
        """A tensor of the device on the host."""
        self.waits[_place()] += 1
        return value.held.clone()


_gpu = PretendGpu()


class OnDevice(Tensor):
    """A tensor of the pretended device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        host = torch.device("cpu")
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=host,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # the stub says otherwise

    def __deepcopy__(self, memo: dict[int, Any]) -> OnDevice:
        copy = memo[id(self)] = OnDevice(self.held.detach().clone()).requires_grad_(
            self.requires_grad
        )
        if isinstance(self, torch.nn.Parameter):
            copy = memo[id(self)] = torch.nn.Parameter(copy, self.requires_grad)
        return copy  # type: ignore[return-value]  # a parameter is what it was

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # the stub forgets the function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        _refuse_mixing(func, args, kwargs)
        _gpu.operations[str(func)] += 1
        if func in _WAITS or _indexed_by_truth(func, args):
            _gpu.waits[_place()] += 1
        if count := sum(_is_of_host(one) for one in _indices(func, args)):
            _gpu.copies[_place()] += count
        result = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if func is _aten._local_scalar_dense.default:
            return result
        if (
            func._schema.arguments[0].alias_info is not None
            and func._schema.arguments[0].alias_info.is_write
        ):
            return args[0]
        return tree_map(lambda one: OnDevice(one) if isinstance(one, Tensor) else one, result)


def _held(one: Any) -> Any:
    return one.held if isinstance(one, OnDevice) else one


def _is_of_host(one: Any) -> bool:
    return isinstance(one, Tensor) and not isinstance(one, OnDevice)


def _refuse_mixing(func: Any, args: Any, kwargs: Any) -> None:
    """Numbers without dimensions may come from the host, and so may indices; nothing else may."""
    indices = _indices(func, args)
    for one in tree_leaves((args, kwargs)):
        if _is_of_host(one) and one.dim() > 0 and not any(one is index for index in indices):
            raise DevicesMixed(f"{func} on a tensor of the host, at {_place()}")


def _indexed_by_truth(func: Any, args: Any) -> bool:
    """Whether an index is a mask: how many places it has is known to the device alone."""
    return any(
        isinstance(one, Tensor) and one.dtype in (torch.bool, torch.uint8)
        for one in _indices(func, args)
    )


def _indices(func: Any, args: Any) -> list[Any]:
    return tree_leaves(args[1]) if func in (_aten.index.Tensor, _aten.index_put_.default) else []


def _place() -> str:
    """The line of the evaluator that runs: ``measuring/views.py:channel_scores``."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if "/evaluator/" in file and "/tests/" not in file:
            return f"{file.rpartition('/evaluator/')[2]}:{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return "elsewhere"


class _Mode(TorchFunctionMode):
    """Sees what Python asks of torch: devices are named nowhere else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if func == _DEVICE_OF:
            return DEVICE if isinstance(first, OnDevice) else func(*args)
        if func == _IS_CUDA:
            return isinstance(first, OnDevice)
        if func is Tensor.cpu:
            return _gpu.to_host(first) if isinstance(first, OnDevice) else first
        if func is Tensor.tolist and isinstance(first, OnDevice):
            return _gpu.to_host(first).tolist()
        if func is Tensor.numpy and isinstance(first, OnDevice):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        if func is Tensor.new_tensor and isinstance(first, OnDevice):
            made = torch.tensor(args[1], dtype=kwargs.get("dtype", first.dtype))
            return _gpu.to_device(made, non_blocking=False)
        if func is Tensor.to:
            return _moved(*args, **kwargs)
        return _made(func, args, kwargs)


def _moved(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """``Tensor.to``, whatever it is told."""
    if args and isinstance(args[0], Tensor):
        device = DEVICE if isinstance(args[0], OnDevice) else torch.device("cpu")
        kwargs, args = {**kwargs, "dtype": args[0].dtype, "device": device}, args[1:]
    parsed = {name: value for name, value in kwargs.items() if name != "copy"}
    device, _, non_blocking, _ = torch._C._nn._parse_to(*args, **parsed)
    kwargs = {
        name: value for name, value in kwargs.items() if name not in ("device", "non_blocking")
    }
    args = tuple(one for one in args if isinstance(one, torch.dtype))
    moved = tensor
    if device is not None and device.type == "cuda" and not isinstance(tensor, OnDevice):
        moved = _gpu.to_device(tensor, non_blocking=non_blocking)
    elif device is not None and device.type == "cpu" and isinstance(tensor, OnDevice):
        moved = _gpu.to_host(tensor)
    return Tensor.to(moved, *args, **kwargs) if args or kwargs else moved


def _made(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Any other function; one that makes a tensor makes it where ``device`` says, or where its
    first tensor is.
    """
    device = kwargs.get("device")
    if device is None or not isinstance(device, str | torch.device | int):
        return func(*args, **kwargs)
    made = func(*args, **{**kwargs, "device": "cpu"})
    if torch.device(device).type == "cuda":
        if func is torch.tensor or func is torch.as_tensor:
            return _gpu.to_device(made, non_blocking=False)
        return made if isinstance(made, OnDevice) else OnDevice(made)
    return made.held if isinstance(made, OnDevice) else made


@contextmanager
def pretend_gpu() -> Iterator[PretendGpu]:
    """A machine with one GPU, for this thread; loader threads, which know no device, may pin
    memory.
    """
    global _gpu
    _gpu = PretendGpu()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        _pretend_functions(patch, _gpu)
        overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(
            True
        )  # a parameter moves as CUDA's do: it becomes another
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwritten)
        stack.enter_context(_Mode())
        yield _gpu


def _pretend_functions(patch: pytest.MonkeyPatch, gpu: PretendGpu) -> None:
    """What torch says of its devices, and memory that a device can read by itself."""
    properties = SimpleNamespace(
        name=NAME,
        uuid="pretended",
        total_memory=80 << 30,
        major=9,
        minor=0,
        multi_processor_count=132,
    )
    answers: dict[str, Callable[..., Any]] = {
        "init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: NAME,
        "get_device_properties": lambda device=None: properties,
        "mem_get_info": lambda device=None: (60 << 30, 80 << 30),
        "memory_reserved": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: 0,
        "reset_peak_memory_stats": lambda device=None: None,
        "empty_cache": lambda: None,
        "get_device_capability": lambda device=None: (9, 0),
    }
    for name, answer in answers.items():
        patch.setattr(torch.cuda, name, answer)
    empty, autocast = torch.empty, torch.autocast

    def pinned_empty(*sizes: Any, pin_memory: bool = False, **kwargs: Any) -> Tensor:
        made = empty(*sizes, **kwargs)
        return gpu.pin(made) if pin_memory else made

    patch.setattr(torch, "empty", pinned_empty)
    patch.setattr(torch, "autocast", lambda kind, *args, **kwargs: autocast("cpu", *args, **kwargs))
    patch.setattr(Tensor, "pin_memory", lambda tensor, device=None: gpu.pin(tensor.clone()))
    patch.setattr(Tensor, "is_pinned", lambda tensor, device=None: gpu.is_pinned(tensor))
