"""Methods and metrics by name, for everything that must name them without importing torch.

camtui's own, and those that were registered in this process: by the description that a run's plan
has of them, or, where they are computed, by their code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from importlib import import_module
from math import isfinite
from types import ModuleType
from typing import Any

from evaluator.errors import UsageError
from evaluator.methods import all_methods
from evaluator.methods.base import ImageMethod, Method
from evaluator.metrics import all_metrics
from evaluator.metrics.base import Metric
from evaluator.references import as_spec
from evaluator.text import did_you_mean, name_hint
from evaluator.user_code_facts import (
    FROM_ELSEWHERE,
    Code,
    DescribedMethod,
    described_method,
    described_metric,
)

ROW_METRICS = ("average_drop", "average_increase", "coherency", "complexity", "adcc")
"""Measured for every (cell, image) in one masked pass; they stand in the row itself. The others are
optional.
"""

TABLE2_METHODS = ("fakecam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam")


@dataclass(frozen=True)
class Registry:
    """Methods and metrics that are not camtui's own, by key.

    Attributes:
        methods: by class, of their code or of their description.
        metrics: as their code or their description has them.
        formulas: the modules of the metrics whose code is there.
    """

    methods: dict[str, type[Method]] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    formulas: dict[str, ModuleType] = field(default_factory=dict)


_registry = Registry()


@contextmanager
def scoped_registry() -> Iterator[None]:
    """Forget afterwards what is registered within."""
    global _registry
    outer = _registry
    _registry = Registry(dict(outer.methods), dict(outer.metrics), dict(outer.formulas))
    try:
        yield
    finally:
        _registry = outer


def register(code: Code) -> None:
    """Make a method or metric known as it is described.

    Of two descriptions under one key the last counts; code that was imported is not replaced.

    Raises:
        UsageError: camtui has one of that name itself, or the description is malformed.
    """
    if code.axis == "method":
        known = _registry.methods.get(code.key)
        if known is None or issubclass(known, DescribedMethod):
            register_method(described_method(code))
    elif code.axis == "metric" and code.key not in _registry.formulas:
        check_key_unused(code.key, all_metrics())
        _registry.metrics[code.key] = described_metric(code)


def register_method(kind: type[Method]) -> None:
    """Make a method known by its class.

    Raises:
        UsageError: camtui has one of that key itself.
    """
    check_key_unused(kind.key, all_methods())
    _registry.methods[kind.key] = kind


def register_metric(metric: Metric, formula: ModuleType) -> None:
    """Make a metric known by the module that computes it.

    Raises:
        UsageError: camtui has one of that key itself.
    """
    check_key_unused(metric.key, all_metrics())
    _registry.metrics[metric.key], _registry.formulas[metric.key] = metric, formula


def check_key_unused(key: str, known: Mapping[str, object]) -> None:
    """Refuse a key that camtui uses itself."""
    if key in known:
        raise UsageError(
            f"'{key}' is a name of camtui's own", f"give yours another: key = 'my_{key}'"
        )


def known_methods() -> dict[str, type[Method]]:
    """Every method that can be named in this process: camtui's own first."""
    return {**all_methods(), **_registry.methods}


def known_metrics() -> dict[str, Metric]:
    """Every metric that can be named in this process: camtui's own first."""
    return {**all_metrics(), **_registry.metrics}


def formula(key: str) -> ModuleType:
    """The module that computes a metric."""
    return _registry.formulas.get(key) or import_module(f"evaluator.metrics.{key}")


def key_of(spec: str) -> str:
    """The key of a method's spec: ``gradcam``, ``captum:IntegratedGradients``."""
    found = FROM_ELSEWHERE.match(spec)
    return found[0] if found else spec.partition(":")[0]


def method(spec: str) -> Method:
    """The method that ``KEY`` or ``KEY:OPTION=VALUE,OPTION=VALUE`` asks for.

    Raises:
        UsageError: no such method, no such option, or a value the option does not take.
    """
    key, options = split_spec(spec)
    kinds = known_methods()
    key = _spelled(key, kinds)
    if key not in kinds:
        raise UsageError(
            f"unknown method '{key}'", f"{name_hint(key, kinds)}list them: camtui methods"
        )
    kind = kinds[key]
    defaults = {field.name: field.default for field in fields(kind)}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name not in defaults:
            offered = f"it has {', '.join(defaults)}" if defaults else "it has no options"
            raise UsageError(f"method '{key}' has no option '{name}'", f"{offered}: camtui methods")
        values[name] = _option_value(kind, name, text, defaults[name])
    return kind(**values)


def expand_methods(specs: list[str]) -> list[str]:
    """Replace the names of groups by the methods that they stand for.

    ``all``: every CAM; ``paper``: those of Table 2; ``image``: every ``ImageMethod``, which may
    cost thousands of forwards. A method that needs an extra is in none of them.
    """
    known = {
        key: issubclass(kind, ImageMethod)
        for key, kind in known_methods().items()
        if not kind.extra
    }
    groups: dict[str, Sequence[str]] = {
        "all": [key for key, of_images in known.items() if not of_images],
        "paper": TABLE2_METHODS,
        "image": [key for key, of_images in known.items() if of_images],
    }
    return list(dict.fromkeys(one for spec in specs for one in groups.get(spec, (spec,))))


def _spelled(key: str, kinds: Mapping[str, type[Method]]) -> str:
    """The key for a usual spelling of a method: ``Grad-CAM++``, ``GradCAM++`` → ``gradcampp``."""
    if key in kinds:
        return key
    names = {
        _plain(name): known
        for known, kind in reversed(list(kinds.items()))
        for name in (known, kind.title)
    }  # our own win
    return names.get(_plain(key), key)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower().replace("+", "p") if character.isalnum())


def is_of_images(spec: str) -> bool:
    """Whether the method of a spec is an ``ImageMethod``; unknown methods are none.

    An option may make it one: ``layercam:layers=stages``.
    """
    kind = known_methods().get(key_of(spec))
    if kind is None or issubclass(kind, ImageMethod):
        return kind is not None
    with suppress(UsageError):  # an option of another version's
        return isinstance(method(spec), ImageMethod)
    return False


def lacks_maps(spec: str, metric: str) -> bool:
    """Whether a method can have no value of a metric, which needs more maps than it has.

    Those that were made elsewhere are of the images alone, or of these and their explanation images
    (``Method.explains``).
    """
    kind, known = known_methods().get(key_of(spec)), known_metrics().get(metric)
    if kind is None or known is None or kind.explains == "any":
        return False
    again = known.again > 0 or known.contrast or known.random_weights
    second = {"coherency", "adcc"} & {metric, *known.of}
    return again or bool(second and kind.explains == "images")


def is_control(spec: str) -> bool:
    """Whether the method of a spec is a control, which is not ranked; unknown methods are none."""
    kind = known_methods().get(key_of(spec))
    return kind is not None and kind.control


def _option_value(kind: type[Method], name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        choices = kind.choices.get(name, ())  # none: a class of another library takes any word
        if choices and text not in choices:
            raise UsageError(
                f"{kind.key}:{name} takes {' or '.join(choices)}, not '{text}'",
                f"{did_you_mean(text, choices)}for example -m {kind.key}:{name}={choices[-1]}",
            )
        return text
    value = (
        _flag(text)
        if isinstance(default, bool)
        else _number(type(default), text, kind.ranges.get(name))
    )
    if value is None:
        expected = _expected(default, kind.ranges.get(name))
        raise UsageError(
            f"{kind.key}:{name} takes {expected}, not '{text}'",
            f"for example -m {kind.key}:{name}={default}",
        )
    return value


def _flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _number(
    kind: type[int] | type[float], text: str, ends: tuple[float, float] | None
) -> float | None:
    """The number of that kind within both ends; without ends above 0 and below 10,000."""
    try:
        value = kind(text)
    except ValueError:
        return None
    within = ends[0] <= value <= ends[1] if ends else 0 < value < 10_000
    return value if within and isfinite(value) else None


def _expected(default: Any, ends: tuple[float, float] | None) -> str:
    if isinstance(default, bool):
        return "True or False"
    whole = "a whole number" if isinstance(default, int) else "a number"
    if ends:
        return f"{whole} from {ends[0]:g} to {ends[1]:g}"
    return "a whole number from 1" if isinstance(default, int) else "a number above 0"


def metric(key: str) -> Metric:
    """The metric of that key.

    Raises:
        UsageError: no such metric.
    """
    metrics = known_metrics()
    if key not in metrics:
        raise UsageError(
            f"unknown metric '{key}'",
            f"{name_hint(key, metrics)}list them: camtui metrics",
        )
    return metrics[key]


def optional_metrics() -> tuple[str, ...]:
    """The optional metrics: computed from the rows that are there, where they are asked for."""
    return tuple(key for key in known_metrics() if key not in ROW_METRICS)


def curve_metrics() -> tuple[str, ...]:
    """Those of them that are areas under curves, each at forwards of its own."""
    return tuple(key for key in optional_metrics() if known_metrics()[key].curve)


def value_range(key: str) -> tuple[float, float]:
    """The least and the greatest value of a metric; 0 and 1 where this version does not know it."""
    known = known_metrics().get(key)
    return (known.low, known.high) if known else (0.0, 1.0)


def truth_metrics() -> tuple[str, ...]:
    """Those of them that compare maps with the object's true region."""
    return tuple(key for key in optional_metrics() if known_metrics()[key].truth)


def sources_of(metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics that some metrics are computed from (``Metric.of``)."""
    return tuple(dict.fromkeys(source for key in metrics for source in metric(key).of))


def split_spec(spec: str, key: str = "") -> tuple[str, dict[str, str]]:
    """Key and options of a spec: ``key:a=1,b=2`` → ``("key", {"a": "1", "b": "2"})``.

    The key of a reference to code is the reference: ``FILE.py:Name``.

    Args:
        key: where it is known, since it may hold a colon of its own.

    Raises:
        UsageError: an option without a value.
    """
    if key:
        tail = spec.strip().removeprefix(key).removeprefix(":")
    elif (known := key_of(spec.strip())) not in known_methods() and (code := as_spec(spec)):
        key, tail = code.reference.text, code.tail
    else:
        key, tail = known, spec.strip()[len(known) + 1 :]
    options: dict[str, str] = {}
    for part in filter(None, tail.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UsageError(f"'{spec}': option '{name}' has no value", f"write {key}:{name}=VALUE")
        options[name.strip()] = value.strip()
    return key, options


_OPTION = re.compile(r"[a-z_]+=")
"""Beginning of an option of the spec before a comma, never of a name of a method or a backbone.
"""


def split_list(values: list[str]) -> list[str]:
    """Split repeated or comma-separated specs: ``a,b:x=1,y=2`` → ``["a", "b:x=1,y=2"]``, each once.

    A comma within the path of a reference belongs to it where the path begins with ``/``, ``./``,
    ``../`` or ``~``.
    """
    specs: list[str] = []
    for value in values:
        for part in filter(None, (piece.strip() for piece in value.split(","))):
            continues = specs and ":" in specs[-1] and _OPTION.match(part)
            if continues or (specs and _begins_path(specs[-1])):
                specs[-1] += f",{part}"
            else:
                specs.append(part)
    return list(dict.fromkeys(specs))


def _begins_path(part: str) -> bool:
    """Whether a part with commas around it is the beginning of ``/some,where/FILE.py:Name``."""
    return (
        part.startswith(("/", "./", "../", "~"))
        and ".py:" not in part
        and not part.endswith(".pt2")
    )
