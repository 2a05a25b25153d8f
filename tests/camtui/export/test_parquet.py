"""Parquet where its extra is missing."""

from __future__ import annotations

import pytest

from evaluator.errors import UsageError
from evaluator.store.reader import RunReader
from tests.camtui.export.support import written


def test_parquet_without_its_extra(reader: RunReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pyarrow") as caught:
        written(reader, "parquet")
    assert "camtui[parquet]" in caught.value.hint
