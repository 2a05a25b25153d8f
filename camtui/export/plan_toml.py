"""The plan of a run as TOML, which ``camtui run --config`` takes back."""

from __future__ import annotations

from typing import Any

from evaluator.store.reader import RunReader
from evaluator.text import printable


def plan_toml(reader: RunReader) -> str:
    """The plan of a run as TOML, without the fields that are unset (TOML has no null)."""
    import tomli_w

    values = _set_fields(reader.plan().to_dict())
    comment = f"# plan of the run {printable(reader.info().name)}; again: camtui run --config FILE --name NEW\n"
    return comment + tomli_w.dumps(values)


def _set_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _set_fields(entry) for key, entry in value.items() if entry is not None}
    return [_set_fields(entry) for entry in value] if isinstance(value, list | tuple) else value
