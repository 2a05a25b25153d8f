"""Methods and metrics by name, for everything that must name them without waking torch."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from evaluator.errors import UsageError
from evaluator.methods import all_methods
from evaluator.methods.base import Method
from evaluator.metrics import all_metrics
from evaluator.metrics.base import Metric
from evaluator.text import did_you_mean

ROW_METRICS = ("average_drop", "average_increase", "coherency", "complexity", "adcc")
"""Measured for every (cell, image) in one masked pass; they stand in the row itself. The others are computed on request."""

TABLE2_METHODS = ("fakecam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam")


def method(spec: str) -> Method:
    """The method that ``KEY`` or ``KEY:OPTION=VALUE,OPTION=VALUE`` asks for.

    Raises:
        UsageError: no such method, no such option, or a value the option does not take.
    """
    key, options = split_spec(spec)
    kinds = all_methods()
    if key not in kinds:
        raise UsageError(f"unknown method '{key}'", f"{did_you_mean(key, kinds)}list them: camtui methods")
    kind = kinds[key]
    defaults = {field.name: field.default for field in fields(kind)}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name not in defaults:
            offered = f"it has {', '.join(defaults)}" if defaults else "it has no options"
            raise UsageError(f"method '{key}' has no option '{name}'", f"{offered}: camtui methods")
        values[name] = _option_value(kind, name, text, defaults[name])
    return kind(**values)


def is_control(spec: str) -> bool:
    """Whether the method of a spec is a control, which is not ranked; one that is not known here is none."""
    kind = all_methods().get(spec.partition(":")[0])
    return kind is not None and kind.control


def _option_value(kind: type[Method], name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        choices = kind.choices[name]
        if text not in choices:
            raise UsageError(
                f"{kind.key}:{name} takes {' or '.join(choices)}, not '{text}'",
                f"{did_you_mean(text, choices)}for example -m {kind.key}:{name}={choices[-1]}",
            )
        return text
    try:
        value = type(default)(text)
    except ValueError:
        value = None
    if value is None or not 0 < value < 10_000:
        expected = "a whole number from 1" if isinstance(default, int) else "a number above 0"
        raise UsageError(f"{kind.key}:{name} takes {expected}, not '{text}'", f"for example -m {kind.key}:{name}={default}")
    return value


def metric(key: str) -> Metric:
    """The metric of that key.

    Raises:
        UsageError: no such metric.
    """
    metrics = all_metrics()
    if key not in metrics:
        raise UsageError(
            f"unknown metric '{key}'", f"{did_you_mean(key, metrics)}known: {', '.join(metrics)}, or all for every one"
        )
    return metrics[key]


def requested_metrics() -> tuple[str, ...]:
    """The metrics that are computed on request, from the rows that are there."""
    return tuple(key for key in all_metrics() if key not in ROW_METRICS)


def curve_metrics() -> tuple[str, ...]:
    """Those of them that are areas under curves, each at forwards of its own."""
    return tuple(key for key in requested_metrics() if all_metrics()[key].curve)


def split_spec(spec: str) -> tuple[str, dict[str, str]]:
    """``key:a=1,b=2`` → ``("key", {"a": "1", "b": "2"})``.

    Raises:
        UsageError: an option without a value.
    """
    key, _, tail = spec.strip().partition(":")
    options: dict[str, str] = {}
    for part in filter(None, tail.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UsageError(f"'{spec}': option '{name}' has no value", f"write {key}:{name}=VALUE")
        options[name.strip()] = value.strip()
    return key, options


def split_list(values: list[str]) -> list[str]:
    """Repeated or comma-separated specs as a list: ``a,b:x=1,y=2`` → ``["a", "b:x=1,y=2"]``; duplicates fall away."""
    specs: list[str] = []
    for value in values:
        for part in filter(None, (piece.strip() for piece in value.split(","))):
            if specs and ":" in specs[-1] and "=" in part and ":" not in part:
                specs[-1] += f",{part}"
            else:
                specs.append(part)
    return list(dict.fromkeys(specs))
