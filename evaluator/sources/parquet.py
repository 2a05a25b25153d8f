"""Parquet files as Hugging Face writes them; pyarrow reads them, of the extra ``parquet``."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from evaluator.errors import ImageUnreadable, UsageError
from evaluator.sources.archive import Archive, Member
from evaluator.sources.base import kind_of
from evaluator.text import printable

_IMAGES = ("image", "img", "images", "jpg", "png", "bytes", "image_bytes")
_LABELS = ("label", "labels", "class", "cls", "fine_label", "target", "label_id")
_MOST_GROUP_BYTES = 2**32
_KEPT_BYTES = 2**28
"""Of row groups that are kept for the images after the one that was asked for."""

_GROUPS: OrderedDict[tuple[int, int], Any] = OrderedDict()
"""Images of the row groups that were read last, of all files, by ``Parquet._serial`` and number."""

_READING = threading.Lock()
_SERIALS = count()

_ROWS = 32
"""Rows whose images are held at once while their sizes are noted."""


class _Columns(NamedTuple):
    """Where a file has its images and labels, as dotted columns; empty where it has none.

    Attributes:
        names: of the classes, by label.
    """

    content: str
    path: str
    label: str
    names: tuple[str, ...]


class Parquet(Archive):
    """A parquet file; the images of a row group are read together.

    >>> from pathlib import Path
    >>> Parquet(Path("/data/val.parquet")).identity()
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '/data/val.parquet'
    """

    endings = (b".parquet",)
    _columns: _Columns
    _serial: int

    def members(self, descriptor: int, size: int, *, sizes: bool) -> Iterator[Member]:
        """Its rows: ``PATH``, or ``NAME/PATH`` where the classes have names.

        A row without a path, or with one that an earlier row has, is ``FILE-ROW.png``.
        """
        file = self._opened_file(descriptor)
        columns = self._columns = self._found(file.schema_arrow)
        self.names = tuple(map(_folder, columns.names))
        self._serial = next(_SERIALS)
        wanted = [columns.path, columns.label, columns.content if sizes else ""]
        seen: set[str] = set()
        number = 0
        for group in range(file.num_row_groups):
            if file.metadata.row_group(group).total_byte_size > _MOST_GROUP_BYTES:
                raise self.refused(f"has a row group of more than {_MOST_GROUP_BYTES:,} bytes")
            place = 0
            for batch in self._batches(file, group, [one for one in wanted if one]):
                lengths = _lengths(batch, columns.content) if sizes else [-1] * len(batch)
                paths, labels = (_values(batch, name) for name in columns[1:3])
                for path, label, length in zip(paths, labels, lengths, strict=True):
                    folder, text = self._class(label)
                    name = os.path.basename(path) if isinstance(path, str) else ""
                    if kind_of(os.fsencode(name)) != "image" or folder + name in seen:
                        name = f"{self.file.stem}-{number:06}.png"
                    seen.add(folder + name)
                    yield Member(os.fsencode(folder + name), length, (group, place), text)
                    place, number = place + 1, number + 1

    def content(self, descriptor: int, size: int, place: tuple[int, ...]) -> bytes:
        """The bytes of a row's image."""
        group, row = place
        try:
            with _READING:
                found = _GROUPS.get((self._serial, group))
                if found is None:
                    table = self._opened_file(descriptor).read_row_group(
                        group, columns=[self._columns.content], use_threads=False
                    )
                    found = _column(table, self._columns.content).combine_chunks()
                    _GROUPS[self._serial, group] = found
                    kept = sum(one.nbytes for one in _GROUPS.values())
                    while kept > _KEPT_BYTES and len(_GROUPS) > 1:
                        kept -= _GROUPS.popitem(last=False)[1].nbytes
                _GROUPS.move_to_end((self._serial, group))
            value = found[row].as_py()
        except (OSError, ValueError, IndexError) as error:  # pyarrow's are such
            raise ImageUnreadable("damaged", printable(error, 160)) from error
        if value is None:
            raise ImageUnreadable("missing", "its row has no image")
        return bytes(value)

    def _opened_file(self, descriptor: int) -> Any:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise UsageError(
                f"{printable(self.file)} is read by pyarrow, which is not installed",
                'pip install "camtui[parquet]"',
            ) from error
        try:
            # by a descriptor of its own: the file that was looked at, whatever lies there later
            return pq.ParquetFile(pa.OSFile(f"/proc/self/fd/{descriptor}"), pre_buffer=False)
        except (OSError, ValueError) as error:
            raise self.refused(
                f"is no parquet file, or it was cut: {printable(error, 120)}",
                "copy it again, and compare its size or its checksum",
            ) from error

    def _batches(self, file: Any, group: int, columns: Sequence[str]) -> Iterator[Any]:
        """The rows of a group, some at a time."""
        try:
            yield from file.iter_batches(
                batch_size=_ROWS, row_groups=[group], columns=columns, use_threads=False
            )
        except (OSError, ValueError) as error:
            raise self.refused(f"is damaged: {printable(error, 120)}") from error

    def _found(self, schema: Any) -> _Columns:
        """The columns of images and labels.

        Raises:
            UsageError: there is none of images.
        """
        import pyarrow as pa

        fields = {field.name: field.type for field in schema}
        binary = (pa.types.is_binary, pa.types.is_large_binary)
        ordered = [*(name for name in _IMAGES if name in fields), *fields]
        content = path = ""
        for name in ordered:
            kind = fields[name]
            if pa.types.is_struct(kind):
                inside = {one.name: one.type for one in map(kind.field, range(kind.num_fields))}
                if "bytes" in inside and any(is_it(inside["bytes"]) for is_it in binary):
                    content = f"{name}.bytes"
                    path = f"{name}.path" if "path" in inside else ""
                    break
            elif any(is_it(kind) for is_it in binary):
                content = name
                break
        if not content:
            raise self.refused(
                f"has no column of images: {', '.join(printable(name, 20) for name in fields)}",
                "it reads image{bytes, path} as Hugging Face writes it, or bytes",
            )
        texts = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
        label = next(
            (n for n in _LABELS if n in fields and any(is_it(fields[n]) for is_it in texts)), ""
        )
        return _Columns(content, path, label, _class_names(schema.metadata, label))

    def _class(self, label: object) -> tuple[str, str]:
        """The folder that stands for a class with a name, and the label of one without."""
        names = self._columns.names
        if isinstance(label, str) or (isinstance(label, int) and 0 <= label < len(names)):
            name = label if isinstance(label, str) else names[label]
            return _folder(name) + "/", ""
        return "", str(label) if isinstance(label, int) and label >= 0 else ""


def _folder(name: str) -> str:
    """What stands for a class in a path: no folder more, and none that is hidden."""
    return name.replace("/", "_").lstrip(".") or "_"


def _column(table: Any, name: str) -> Any:
    import pyarrow.compute as pc

    outer, _, inner = name.partition(".")
    return pc.struct_field(table.column(outer), inner) if inner else table.column(outer)


def _values(batch: Any, name: str) -> list[Any]:
    found: list[Any] = _column(batch, name).to_pylist() if name else [None] * len(batch)
    return found


def _lengths(batch: Any, name: str) -> list[int]:
    """Bytes of each image; none of a row without one."""
    import pyarrow.compute as pc

    return [length or 0 for length in pc.binary_length(_column(batch, name)).to_pylist()]


def _class_names(metadata: Any, label: str) -> tuple[str, ...]:
    """The names that Hugging Face's ``ClassLabel`` has put into a schema's metadata."""
    try:
        told = json.loads((metadata or {}).get(b"huggingface", b"null"))
        names = told["info"]["features"][label]["names"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if known else ()
