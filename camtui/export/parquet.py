"""Parquet, through pyarrow (an extra): typed columns, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from evaluator.errors import UsageError

BATCH = 20_000
_TEXT = frozenset({"backbone", "method", "image", "note"})
_WHOLE = frozenset({"label", "target", "predicted", "n", "failed"})
_TRUTH = frozenset({"applicable"})


def write_parquet(
    stream: BinaryIO, fields: Sequence[str], records: Iterable[dict[str, Any]], description: str
) -> None:
    """Write one row group per batch; names are dictionary-encoded, undefined is null.

    Args:
        stream: binary.
        fields: columns in order.
        records: plain values.
        description: JSON about the run, kept in the file's metadata under ``camtui``.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "parquet needs pyarrow, which is not installed", 'pip install "camtui[parquet]"'
        ) from error
    per_image = "image" in fields
    types = {"text": pa.string(), "whole": pa.int64(), "truth": pa.bool_(), "number": pa.float64()}
    schema = pa.schema(
        [(field, types[kind(field, per_image=per_image)]) for field in fields],
        {"camtui": description},
    )
    with pq.ParquetWriter(stream, schema) as writer:
        for batch in _batches(records):
            columns = [[record[field] for record in batch] for field in fields]
            arrays = [
                pa.array(column, schema.field(place).type) for place, column in enumerate(columns)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def kind(field: str, *, per_image: bool) -> str:
    """Return the kind of a column: ``text``, ``whole``, ``truth`` or ``number``.

    ``degenerate`` is a count in a summary, ``adcc_n`` and its like are in each.
    """
    if field == "degenerate":
        return "truth" if per_image else "whole"
    if field.endswith("_n"):
        return "whole"
    kinds = {"text": _TEXT, "whole": _WHOLE, "truth": _TRUTH}
    return next((name for name, fields in kinds.items() if field in fields), "number")


def _batches(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    remaining = iter(records)
    while batch := list(islice(remaining, BATCH)):
        yield batch
