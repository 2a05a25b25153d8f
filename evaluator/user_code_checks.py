"""Import, validation and description of a method or a metric of the user's.

``python -m evaluator.user_code_checks`` answers one request (``evaluator.child``): the
user's code runs in a process that ends with it, never in a command or a driver.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict, fields, replace
from typing import Any, get_args, get_origin

from evaluator import catalog, user_code
from evaluator.child import Answers, serve
from evaluator.errors import UsageError
from evaluator.map_files import method_of
from evaluator.methods import all_methods
from evaluator.methods.adapters import NoMethod, PeerMethod, adapted
from evaluator.methods.base import Method
from evaluator.metrics import all_metrics
from evaluator.metrics.base import Metric
from evaluator.references import Reference, as_reference
from evaluator.text import printable
from evaluator.user_code_facts import Code, facts_of_method, facts_of_metric, is_key


def described(code: Code, tails: list[str]) -> Code:
    """The code with its key and its facts.

    Args:
        code: what is to be imported; it must have been allowed (``user_code.allow``).
        tails: the options it is wanted with, as typed: ``beta=0.5,gamma=2``; empty for none.

    Raises:
        CamtuiError: it cannot be imported, or is not what a method or a metric must be.
    """
    reference = as_reference(code.reference)
    if code.axis == "metric":
        metric = import_metric(reference)
        return replace(code, key=metric.key, facts=facts_of_metric(metric))
    if reference.maps:
        return described_maps(code)
    kind = import_method(reference)
    with user_code.user_errors(reference, f"{kind.__name__} cannot be described"):
        methods = [
            catalog.method(f"{kind.key}:{tail}" if tail else kind.key)
            for tail in dict.fromkeys(["", *tails])
        ]
        facts = facts_of_method(kind, methods)
        json.dumps(facts)
    return replace(code, key=kind.key, facts=facts)


def described_maps(code: Code) -> Code:
    """The description of maps that were made elsewhere; no code is run and no map read.

    Args:
        code: its hash is that of all the maps.
    """
    kind = method_of(as_reference(code.reference).maps)
    return replace(code, key=kind.key, facts=facts_of_method(kind, [kind()]))


def import_code(code: Code) -> None:
    """Import a method or a metric and make it known in this process; it must have been allowed.

    Raises:
        CamtuiError: it cannot be imported, or is not what it must be.
    """
    reference = as_reference(code.reference)
    if reference.maps:
        user_code.permitted(reference)
        catalog.register_method(method_of(reference.maps))
    elif code.axis == "method":
        import_method(reference)
    elif code.axis == "metric":
        import_metric(reference)


def import_method(reference: Reference) -> type[Method]:
    """Import a method's class, check what can be seen of it, and make it known in this process.

    Raises:
        CamtuiError: it cannot be imported, or is no method.
    """
    kind = user_code.load(reference)
    try:
        kind = adapted(reference.source, kind)
    except NoMethod as error:
        raise UsageError(str(error), error.hint) from error
    name = printable(reference.short)
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise UsageError(
            f"{name} is {_what(kind)}, not a method",
            "a method is a class with Method as its base: camtui new method NAME",
        )
    for attribute in ("key", "title", "paper", "weighs_by"):
        if not isinstance(getattr(kind, attribute, None), str):
            raise UsageError(f"{name} has no {attribute}", f'add to the class: {attribute} = "…"')
    _check_key(name, kind.key, all_methods())
    formula = kind.formula
    if inspect.isabstract(kind):
        raise UsageError(
            f"{name} has no {formula}",
            f"add def {formula}(self, …): camtui new method NAME shows one",
        )
    if not issubclass(kind, PeerMethod):
        _check_options(name, kind)
    catalog.register_method(kind)
    return kind


def _check_key(name: str, key: str, taken: Any) -> None:
    if not is_key("method", key):
        raise UsageError(
            f"{name} has the key {printable(key, 60)!r}",
            "a key is lower-case letters, digits and '_', at most 40, a letter first",
        )
    if key in taken:
        raise UsageError(
            f"{name} has the key '{key}', which is camtui's own",
            f'give it another: key = "my_{key}"',
        )


def _check_options(name: str, kind: type[Method]) -> None:
    options = {one.name: one for one in fields(kind)}
    for option, annotation in inspect.get_annotations(kind, eval_str=False).items():
        constant = (
            "ClassVar" in str(annotation)
            or hasattr(Method, option)
            or option in ("key", "title", "paper", "weighs_by")
        )
        if option not in options and not constant:
            raise UsageError(
                f"{name} has the option {option}, and is no data class",
                "put @dataclass(frozen=True) above the class",
            )
    for option, one in options.items():
        if not isinstance(one.default, bool | int | float | str):
            raise UsageError(
                f"{name}: the option {option} has no default that is a number, a word or a "
                "truth value",
                f"write {option}: float = 0.5",
            )
        if isinstance(one.default, str) and one.default not in kind.choices.get(option, ()):
            raise UsageError(
                f"{name}: the option {option} is a word, and its choices do not name "
                f"{one.default!r}",
                f'add choices = {{"{option}": ("{one.default}", "…")}}',
            )


def import_metric(reference: Reference) -> Metric:
    """Import a metric, check what can be seen of it, and make it known in this process.

    Raises:
        CamtuiError: it cannot be imported, or is no metric.
    """
    module = user_code.load_module(reference)
    metric = user_code.member(reference, module)
    name = printable(reference.short)
    if not isinstance(metric, Metric):
        raise UsageError(
            f"{name} is {_what(metric)}, not a metric",
            "name its constant: FILE.py:METRIC; camtui new metric NAME writes one",
        )
    _check_key(name, metric.key, all_metrics())
    for one in fields(metric):
        value = getattr(metric, one.name)
        choices = get_args(one.type) if get_origin(one.type) else ()
        if choices and value not in choices:
            raise UsageError(
                f"{name}: {one.name} is {printable(value, 40)}",
                f"one of {', '.join(map(str, choices))}",
            )
    if metric.better not in ("higher", "lower"):
        raise UsageError(
            f"{name}: better is {printable(metric.better, 40)!r}",
            'write better="higher" or better="lower"',
        )
    needed = ("frame", "ends") if metric.curve else ("measure",)
    for function in needed:
        if not callable(getattr(module, function, None)):
            raise UsageError(
                f"{printable(reference.source)} has no function {function}",
                f"it computes {metric.key}: camtui new metric NAME shows one",
            )
    catalog.register_metric(metric, module)
    return metric


def _what(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return "a function" if callable(found) else f"{type(found).__name__} {printable(found, 40)}"


def answer(request: dict[str, Any]) -> Answers:
    """Describe the code of a request.

    ``{"axis", "reference", "sha256", "package", "key", "tails"}`` → ``{"code": {…}}``.
    """
    tails = request.pop("tails")
    code = Code(**request)
    user_code.allow({code.reference: code.sha256})
    yield {"code": asdict(described(code, tails))}


if __name__ == "__main__":
    serve(answer)
