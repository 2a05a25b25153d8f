"""The plan of a run as TOML, which ``camtui run --config`` takes back."""

from __future__ import annotations

from typing import Any

from evaluator.store.reader import RunReader
from evaluator.text import printable


def plan_toml(reader: RunReader) -> str:
    """Return the plan of a run as TOML, unset fields left out, code of others by reference."""
    import tomli_w

    plan = reader.plan()
    values = _set_fields(plan.to_dict())
    del values["code"]
    for axis in ("method", "metric"):
        places = {one.key: one.reference for one in plan.code if one.axis == axis}
        values[f"{axis}s"] = [_by_reference(spec, places) for spec in values[f"{axis}s"]]
    comment = (
        f"# plan of the run {printable(reader.info().name)}; again: "
        "camtui run --config FILE --name NEW\n"
    )
    return comment + tomli_w.dumps(values)


def _by_reference(spec: str, places: dict[str, str]) -> str:
    """``mycam:power=2.0`` → ``/home/me/mycam.py:MyCAM:power=2.0``."""
    key, colon, options = spec.partition(":")
    return f"{places.get(key, key)}{colon}{options}"


def _set_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _set_fields(entry) for key, entry in value.items() if entry is not None}
    return [_set_fields(entry) for entry in value] if isinstance(value, list | tuple) else value
