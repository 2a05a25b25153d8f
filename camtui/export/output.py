"""Destinations of exports: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import PIPE_BUF, select
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, TextIO, cast

from evaluator.errors import UsageError
from evaluator.store.files import is_run, temporary_beside
from evaluator.text import printable


@contextmanager
def destination(target: Path | None, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a binary stream; ``None`` is standard output.

    The file is written beside its place under another name and then renamed: a reader never sees
    half of it, and a failure leaves what was there. A device or a FIFO is written into. Of a link,
    what it leads to is the place.

    Raises:
        UsageError: as ``check_free`` raises, or its folder cannot be written.
    """
    if target is None or str(target) in _STANDARD_OUTPUT:
        sys.stdout.flush()
        with patient(sys.stdout.buffer) as stream:
            yield stream
        return
    check_free(target, force=force)
    if is_stream(target):
        with open(target, "wb", opener=_existing) as opened, patient(opened) as stream:
            yield stream
        return
    place = Path(os.path.realpath(target))
    temporary = temporary_beside(place)
    try:
        stream = open(temporary, "xb")  # noqa: SIM115  closed below, before the rename
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(target)}: {error.strerror}", "choose another place: -o FILE"
        ) from error
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        check_free(target, force=force)
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def patient(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Write to a reader that may stop reading for hours, as ``less`` does, holding nothing back.

    Where it has stopped, the rest is written to a temporary file first, and handed on when all of
    it is there: the run was read to its end by then, and its driver can tidy its file.
    """
    try:
        waits = stat.S_ISFIFO(mode := os.fstat(stream.fileno()).st_mode) or stat.S_ISCHR(mode)
    except OSError:  # no file: a buffer in memory
        waits = False
    if not waits:
        yield stream
        stream.flush()
        return
    with _PatientWriter(stream) as writer:
        yield cast("BinaryIO", writer)
        writer.hand_on()


class _PatientWriter(io.RawIOBase):
    """Writes into a pipe or a terminal as long as that takes it, else into a temporary file."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._raw = cast("io.RawIOBase", getattr(stream, "raw", stream))
        self._kept: IO[bytes] | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        written = len(left)
        while left:
            if self._kept is None and not select((), (self._raw,), (), _STALLED_SECONDS)[1]:
                self._kept = TemporaryFile()  # noqa: SIM115  closed in ``close``
            if self._kept is not None:
                self._kept.write(left)
                break
            left = left[self._raw.write(left[:PIPE_BUF]) or 0 :]  # what a pipe takes at once
        return written

    def hand_on(self) -> None:
        """Write what was kept, for as long as it takes."""
        if self._kept is not None:
            self._kept.seek(0)
            shutil.copyfileobj(self._kept, self._stream)
            self._stream.flush()

    def close(self) -> None:
        super().close()
        if self._kept is not None:
            self._kept.close()


_STALLED_SECONDS = 1.0

_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def _existing(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT)


def is_stream(target: Path) -> bool:
    """Whether a place is a device or a FIFO, which is written into and never replaced."""
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def check_free(target: Path, *, force: bool) -> None:
    """Refuse to overwrite; what belongs to a run is never written over.

    Raises:
        UsageError: the file exists and ``force`` is off; or it is a folder, a disk, a socket, a
            run, or a file beside one.
    """
    place = Path(os.path.realpath(target))
    if target.is_dir():
        raise UsageError(f"{printable(target)} is a folder", "give a file: -o FILE")
    if run := _run_of(place):
        raise UsageError(
            f"{printable(target)} belongs to the run {printable(run.stem)}",
            "choose another place: -o FILE",
        )
    if not target.exists() or is_stream(target):
        return
    if not place.is_file():
        raise UsageError(f"{printable(target)} is no regular file", "choose another place: -o FILE")
    if not force:
        raise UsageError(f"{printable(target)} exists", "add --force to overwrite it")


def _run_of(place: Path) -> Path | None:
    """The run that a file is, or that it stands beside as its log, lock or journal."""
    name = place.name
    stems = [name, name.removesuffix(".log") + ".db"]
    stems += [name.removesuffix(end) for end in ("-wal", "-shm", "-journal", ".lock", ".log")]
    candidates = [place.with_name(stem) for stem in stems if stem.endswith(".db")]
    if place.suffix != ".db":
        candidates.append(place)
    return next((one for one in candidates if is_run(one)), None)


@contextmanager
def as_text(stream: BinaryIO) -> Iterator[TextIO]:
    """Open UTF-8 text over a binary stream, which stays open."""
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=False)
    try:
        yield text
        text.flush()
    finally:
        text.detach()
