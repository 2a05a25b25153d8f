"""Descriptions of the user's methods and metrics, as a run stores them.

They are named, costed, ranked and drawn from these, without their code.

The description is made once, where the code may run (``user_code_checks``), and stored with the
plan. It may come from anybody's file: every value is checked before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from keyword import iskeyword
from math import isinf
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from evaluator.errors import RunFailed, UsageError
from evaluator.methods.base import FixedMap, ImageMethod, Method
from evaluator.metrics.base import Metric
from evaluator.references import Axis
from evaluator.text import printable

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.methods.base import ImageView, View

Facts = dict[str, Any]
"""Values that JSON has."""

KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Allowed keys of methods and metrics: each is a column, an option and part of file names."""

FROM_ELSEWHERE = re.compile(
    r"(?:maps:[\w-]{1,40}-[0-9a-f]{8}|(?:captum|pytorch_grad_cam|torchcam):[A-Za-z]\w{0,59})(?=:|$)",
    re.ASCII,
)
"""Keys of maps that were made elsewhere, and of classes of other libraries."""


def is_key(axis: Axis, key: str) -> bool:
    """Whether a method or a metric can have this key."""
    elsewhere = axis == "method" and FROM_ELSEWHERE.fullmatch(key)
    return bool(elsewhere or KEY.fullmatch(key))


_FEW, _MANY = 1, 1001
"""Channels for which the forwards of a method are stored; between and beyond them they are taken to
be linear.
"""

_SIDE = 32
"""A fixed map is stored with so many values a side, eight bits each: it is drawn from them, never
measured.
"""

_PIXELS = re.compile(rf"[0-9a-f]{{{2 * _SIDE * _SIDE}}}")


@dataclass(frozen=True)
class Code:
    """A method, metric or backbone of a run that is not camtui's own.

    Attributes:
        key: its name in the run; of a backbone the reference itself.
        reference: ``references.Reference.text``; ``sha256``: of its source, ``sources.Sources``.
        package: name and version of the installed package that registers it, empty for a file.
        facts: what ``user_code_checks`` found; empty for a backbone.
    """

    axis: Axis
    key: str
    reference: str
    sha256: str
    package: str = ""
    facts: Facts = field(default_factory=dict)

    @staticmethod
    def from_dict(values: Any) -> Code:
        """The code of ``dataclasses.asdict``, from anybody's file.

        Raises:
            UsageError: it is none.
        """
        given = {one.name: {} if one.name == "facts" else "" for one in fields(Code)}
        if not isinstance(values, Mapping) or not all(
            name in given and isinstance(value, Mapping if name == "facts" else str)
            for name, value in values.items()
        ):
            raise UsageError(
                "the plan's code is malformed", "camtui show RUN --config prints an example"
            )
        code = Code(**{**given, **values})
        if code.axis not in get_args(Axis) or (
            code.axis != "backbone" and not is_key(code.axis, code.key)
        ):
            raise UsageError(
                f"the plan's code cannot be called {printable(code.key, 40)!r}", "camtui show RUN"
            )
        return code


class DescribedMethod(Method):
    """A method as a run describes it; its code is elsewhere."""

    specs: ClassVar[Mapping[str, Facts]]

    def combine(self, view: View) -> Tensor:
        """Never called where nothing is computed.

        Raises:
            RunFailed: its code has not been imported.
        """
        raise self._not_imported()

    def _not_imported(self) -> RunFailed:
        return RunFailed(
            f"the code of {self.key} has not been imported", "camtui resume RUN --allow-code"
        )

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """As described, linear in the channels."""
        few, many = self._described("forwards", gap_linear, (1, 1))
        return max(0, int(few + (many - few) * (channels - _FEW) / (_MANY - _FEW) + 0.5))

    def map_identity(self, gap_linear: bool) -> str:
        """As described."""
        return str(self._described("identity", gap_linear, self.name))

    def _described(self, name: str, gap_linear: bool, default: Any) -> Any:
        return self.specs.get(self.name, {}).get(name, {}).get(_head(gap_linear), default)


class DescribedFixedMap(DescribedMethod, FixedMap):
    """A fixed map as a run describes it."""

    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        """The stored values, each drawn as a rectangle; all 0 where there are none."""
        values = bytes.fromhex(self.specs.get(self.name, {}).get("map", "")) or bytes(_SIDE * _SIDE)
        return [
            [values[y * _SIDE // height * _SIDE + x * _SIDE // width] / 255 for x in range(width)]
            for y in range(height)
        ]


class DescribedImageMethod(DescribedMethod, ImageMethod):
    """An image method as a run describes it."""

    def explain(self, view: ImageView) -> Tensor:
        """Never called, as ``combine``."""
        raise self._not_imported()

    def cost(self) -> int:
        """Never called: ``forwards`` is described."""
        raise self._not_imported()


def _head(gap_linear: bool) -> str:
    return "gap" if gap_linear else "other"


def facts_of_method(kind: type[Method], methods: Iterable[Method]) -> Facts:
    """The description of a method: all that is needed without its code.

    Args:
        methods: it with the options that the plan has.
    """
    image = {"image": True} if issubclass(kind, ImageMethod) else {}
    return image | {
        "class": {name: getattr(kind, name) for name in _class_variables() if hasattr(kind, name)},
        "options": {one.name: one.default for one in fields(kind)},
        "fixed": issubclass(kind, FixedMap),
        "specs": {method.name: _facts_of_spec(method) for method in methods},
    }


def _facts_of_spec(method: Method) -> Facts:
    heads = (True, False)
    facts: Facts = {
        "forwards": {
            _head(gap): [method.forwards(_FEW, gap), method.forwards(_MANY, gap)] for gap in heads
        },
        "identity": {_head(gap): method.map_identity(gap) for gap in heads},
    }
    if isinstance(method, FixedMap):
        rows = method.fixed_map(_SIDE, _SIDE)
        facts["map"] = bytes(
            round(255 * min(max(value, 0.0), 1.0)) for row in rows for value in row
        ).hex()
    return facts


def _class_variables() -> list[str]:
    return [
        name
        for name, kind in Method.__annotations__.items()
        if "ClassVar" in str(kind) and name != "key"
    ]


def described_method(code: Code) -> type[DescribedMethod]:
    """A method's class made from its description.

    Raises:
        UsageError: what is described is no method.
    """
    options, given = _checked_options(code), code.facts.get("class")
    found = {name: _class_value(given, name) for name in _class_variables()}
    return make_dataclass(
        f"Described_{code.key}",
        [(name, type(value), value) for name, value in options.items()],
        bases=(_base(code.facts),),
        frozen=True,
        namespace={name: value for name, value in found.items() if value is not None}
        | {"key": code.key, "specs": _checked_specs(code)},
    )


def _base(facts: Facts) -> type[DescribedMethod]:
    if facts.get("image") is True:
        return DescribedImageMethod
    return DescribedFixedMap if facts.get("fixed") is True else DescribedMethod


def _class_value(given: Any, name: str) -> Any:
    """A class variable of the type that it has in ``Method``; ``None`` leaves the default."""
    value = dict(_items(given)).get(name)
    default = getattr(Method, name, "")
    if isinstance(default, str):
        return printable(value, 200) if isinstance(value, str) else ""
    if isinstance(default, dict):
        found = {str(key): tuple(each) for key, each in _items(value)}
        return found if isinstance(value, Mapping) else None
    return value if type(value) is type(default) else None


def _checked_options(code: Code) -> Facts:
    options = code.facts.get("options", {})
    for name, value in _items(options):
        is_name = KEY.fullmatch(name) and not iskeyword(name)
        if not is_name or not isinstance(value, bool | int | float | str):
            raise UsageError(
                f"the plan describes an option of {code.key} that cannot be: "
                f"{printable(name, 40)!r}",
                "camtui show RUN",
            )
    return dict(options)


def _checked_specs(code: Code) -> dict[str, Facts]:
    """Numbers and texts where they are expected; what is not is left out."""
    return {
        name: {
            "forwards": {
                head: tuple(pair) for head, pair in _items(facts.get("forwards")) if _is_pair(pair)
            },
            "identity": {
                head: printable(text, 200) for head, text in _items(facts.get("identity"))
            },
            "map": pixels if _PIXELS.fullmatch(pixels := str(facts.get("map"))) else "",
        }
        for name, facts in _items(code.facts.get("specs"))
        if isinstance(facts, Mapping)
    }


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, Mapping) else ()


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(n, int) and 0 <= n < 10**9 for n in value)
    )


def facts_of_metric(metric: Metric) -> Facts:
    """The description of a metric: all its properties but the key; JSON has no infinity."""
    found = {one.name: getattr(metric, one.name) for one in fields(metric) if one.name != "key"}
    return {
        name: str(value) if isinstance(value, float) and isinf(value) else value
        for name, value in found.items()
    }


def described_metric(code: Code) -> Metric:
    """A metric made from its description.

    Raises:
        UsageError: what is described is no metric.
    """
    values: Facts = {"key": code.key}
    for one in fields(Metric):
        value = code.facts.get(one.name)
        if one.name != "key" and (value is not None or one.default is MISSING):
            values[one.name] = _metric_value(code, one.name, value, one.default)
    if values["better"] not in ("higher", "lower"):
        raise _refusal(code, f"as better when {printable(values['better'], 40)}")
    made = Metric(**values)
    if not made.low < made.high:
        raise _refusal(code, f"with values from {made.low} to {made.high}")
    if not all(isinstance(key, str) for key in made.of):
        raise _refusal(code, "as computed from what is no metric")
    return made


def _refusal(code: Code, what: str) -> UsageError:
    return UsageError(f"the plan describes the metric {code.key} {what}", "camtui show RUN")


def _metric_value(code: Code, name: str, value: Any, default: Any) -> Any:
    """A field of a metric: a text, or what its default is; lists stand for tuples."""
    kind = str if default is MISSING else type(default)
    if isinstance(value, list):
        value = tuple(printable(entry, 100) for entry in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is float and value in ("inf", "-inf"):
        value = float(value)
    if isinstance(value, str):
        value = printable(value, 300)
    is_kind = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is not type(None) and not is_kind:
        raise _refusal(code, f"with a {name} that cannot be: {printable(value, 60)}")
    return value
