"""Destinations of exports: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from evaluator.errors import UsageError
from evaluator.text import printable


@contextmanager
def destination(target: Path | None, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a binary stream; ``None`` is standard output.

    The file is written beside its place under another name and then renamed: a reader never sees
    half of it, and a failure leaves what was there.

    Raises:
        UsageError: the file exists and ``force`` is off, or its folder cannot be written.
    """
    if target is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    check_free(target, force=force)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
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
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_free(target: Path, *, force: bool) -> None:
    """Refuse to overwrite.

    Raises:
        UsageError: the file exists and ``force`` is off, or it is a folder.
    """
    if target.is_dir():
        raise UsageError(f"{printable(target)} is a folder", "give a file: -o FILE")
    if target.exists() and not force:
        raise UsageError(f"{printable(target)} exists", "add --force to overwrite it")


@contextmanager
def as_text(stream: BinaryIO) -> Iterator[TextIO]:
    """Open UTF-8 text over a binary stream, which stays open."""
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=False)
    try:
        yield text
        text.flush()
    finally:
        text.detach()
