"""What libjpeg says against a JPEG that it decodes all the same: "Corrupt JPEG data: premature end of data segment".

Pillow decodes such files and keeps libjpeg's warnings to itself. Here the entropy-coded data is read once more, by the library
that Pillow has brought along, and the warnings are counted; no pixels are made, which saves a third of the time of decoding.

The library reports errors by calling a function that must not return. Each step therefore runs in a thread of its own, which an
error ends (``pthread_exit``); Python never runs in it. Where it cannot be set up so, ``count_warnings`` says ``None``.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

_BAD_VERSION, _BAD_SIZE = 12, 21
"""``JERR_BAD_LIB_VERSION``, ``JERR_BAD_STRUCT_SIZE``: libjpeg's answer to a caller that does not know its structures."""

_ROOM = 4096
"""Bytes for a structure of about 650."""


class _Errors(ctypes.Structure):
    """``struct jpeg_error_mgr``."""

    _fields_ = [
        ("error_exit", ctypes.c_void_p), ("emit_message", ctypes.c_void_p), ("output_message", ctypes.c_void_p),
        ("format_message", ctypes.c_void_p), ("reset_error_mgr", ctypes.c_void_p), ("msg_code", ctypes.c_int),
        ("parameters", ctypes.c_int * 20), ("trace_level", ctypes.c_int), ("num_warnings", ctypes.c_long),
        ("tables", ctypes.c_void_p * 8),
    ]  # fmt: skip


class _Library:
    """libjpeg and what starts threads, with the version and structure size that the library itself names."""

    def __init__(self, file: Path) -> None:
        self.jpeg, self.c = ctypes.CDLL(str(file)), ctypes.CDLL(None)
        self.jpeg.jpeg_std_error.restype = ctypes.c_void_p
        self.version, self.size = 0, 0
        self.size = self._told(_BAD_SIZE)
        self.version = self._told(_BAD_VERSION)

    def _told(self, code: int) -> int:
        """What the library says it had expected, asked with values that are wrong so far."""
        errors, _ = self.begun()
        if errors.msg_code != code:
            raise OSError(f"libjpeg answers {errors.msg_code}, not {code}")
        return int(errors.parameters[0])

    def begun(self) -> tuple[_Errors, Any]:
        """A decompressor; until its version and size are right, creating it ends in an error that does nothing."""
        errors, decompressor = _Errors(), ctypes.create_string_buffer(_ROOM)
        self.jpeg.jpeg_std_error(ctypes.byref(errors))
        nothing = ctypes.cast(self.c.abs, ctypes.c_void_p).value
        errors.error_exit = errors.output_message = nothing
        ctypes.cast(decompressor, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(errors)
        self.jpeg.jpeg_CreateDecompress(decompressor, self.version, ctypes.c_size_t(self.size))
        return errors, decompressor

    def step(self, function: Any, decompressor: Any) -> bool:
        """Call a function with the decompressor as its argument, in a thread that an error ends; whether it came back."""
        thread, result = ctypes.c_ulong(), ctypes.c_void_p()
        if self.c.pthread_create(ctypes.byref(thread), None, function, decompressor):
            raise OSError("no thread can be started")
        self.c.pthread_join(thread, ctypes.byref(result))
        return result.value != ctypes.addressof(decompressor)


@cache
def _library() -> _Library | None:
    """The libjpeg inside Pillow's wheel; ``None`` where Pillow was built otherwise, or it is not as expected."""
    import PIL

    found = sorted((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libjpeg-*.so*"))
    try:
        return _Library(found[0]) if found else None
    except (OSError, AttributeError):
        return None


def count_warnings(data: bytes) -> int | None:
    """How many times libjpeg warns of corrupt data.

    Args:
        data: a whole file, which Pillow has decoded without an error.

    Returns:
        At least 1 also where libjpeg gives up; ``None`` where it cannot be asked.
    """
    library = _library()
    if library is None:
        return None
    errors, decompressor = library.begun()
    if errors.msg_code:
        return None
    try:
        library.jpeg.jpeg_mem_src(decompressor, data, ctypes.c_ulong(len(data)))
        if errors.msg_code:
            return 1
        errors.error_exit = ctypes.cast(library.c.pthread_exit, ctypes.c_void_p).value
        steps = (library.jpeg.jpeg_read_header, library.jpeg.jpeg_read_coefficients)
        whole = all(library.step(function, decompressor) for function in steps)
        return int(errors.num_warnings) if whole else max(1, int(errors.num_warnings))
    finally:
        library.jpeg.jpeg_destroy_decompress(decompressor)
