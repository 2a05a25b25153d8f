"""Classes of other libraries as methods, as they are: one file for each library.

A file has ``adapt(kind)``: a class of its library → a method, or ``NoMethod`` that says why it
cannot be one. It is imported when such a class is named, never before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, make_dataclass
from importlib import import_module
from typing import Any, ClassVar

from evaluator.methods.base import ImageMethod

LIBRARIES = {"captum": "captum", "pytorch_grad_cam": "grad-cam", "torchcam": "torchcam"}
"""Module → the package that ``pip install`` takes."""

NOT_GIVEN = "none"
"""Value of an option whose default is nothing."""


class NoMethod(ValueError):
    """A class that explains no image classifier, or not without what only code can give.

    Attributes:
        hint: what to do instead.

    >>> NoMethod("it explains text", "name another").hint
    'name another'
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class PeerMethod(ImageMethod):
    """A class of another library. Its options are its constructor's and those of its call.

    Attributes:
        made: the class.
        constructed, called: keyword arguments of its constructor and of its call.
        price: forwards of one map on a layer of K channels, as far as they are known.

    >>> issubclass(PeerMethod, ImageMethod)
    True
    """

    weighs_by = "as its library does"
    beyond_paper = True
    made: ClassVar[Any]
    constructed: ClassVar[frozenset[str]]
    called: ClassVar[frozenset[str]]
    price: ClassVar[Callable[[PeerMethod, int], int]]

    def given(self, names: frozenset[str]) -> dict[str, Any]:
        """The options among some keyword arguments that are not the library's defaults."""
        return {
            one.name: value
            for one in fields(self)
            if one.name in names
            and (value := _value(getattr(self, one.name))) != _value(one.default)
        }

    def cost(self) -> int:
        """As for one channel: ``forwards`` knows how many there are."""
        return type(self).price(self, 1)

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Of the map, the masked pass and the second map, as far as they are known."""
        return 1 + 2 * type(self).price(self, channels)


def _value(text: Any) -> Any:
    """``3x15x15`` → ``(3, 15, 15)``, ``2`` → ``2``, ``none`` → ``None``; other words stay."""
    if not isinstance(text, str):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    known = {NOT_GIVEN: None, "true": True, "false": False}
    if text.lower() in known:
        return known[text.lower()]
    parts = text.split("x")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else text


def peer(
    library: str,
    made: Any,
    base: type[PeerMethod],
    *,
    call: Callable[..., Any],
    ours: frozenset[str],
    price: Callable[[PeerMethod, int], int],
    estimated: bool = False,
    required: Mapping[str, Any] = {},
    words: Mapping[str, tuple[str, ...]] = {},
) -> type[PeerMethod]:
    """The method of a class.

    Args:
        library: name of its module.
        call: what is called to explain.
        estimated: whether its price is no more than a guess.
        ours: arguments that we give: model, layer, images, classes.
        required: values of arguments that have no default, by name.
        words: options of ours and their values, the default first.

    Raises:
        NoMethod: an argument has no default and is not known.
    """
    options: dict[str, Any] = {name: values[0] for name, values in words.items()}
    names: list[frozenset[str]] = []
    for function in (made.__init__, call):
        found = {
            name: one
            for name, one in inspect.signature(function).parameters.items()
            if name not in ours | {"self"} and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        }
        names.append(frozenset(found))
        for name, one in found.items():
            default = required.get(name, one.default)
            if default is one.empty:
                raise NoMethod(
                    f"{made.__name__} needs {name}, which is no number and no word",
                    "write a method of your own around it: camtui new method NAME",
                )
            options[name] = default if isinstance(default, bool | int | float | str) else NOT_GIVEN
    ranges = {
        name: (-1e9, 1e9)
        for name, value in options.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    key = f"{library}:{made.__name__}"
    return make_dataclass(
        f"Peer{made.__name__}",
        [(name, type(value), value) for name, value in options.items()],
        bases=(base,),
        frozen=True,
        namespace={
            "key": key,
            "title": key,
            "paper": f"as {LIBRARIES[library]} has it",
            "ranges": ranges,
            "choices": dict(words),
            "made": made,
            "constructed": names[0],
            "called": names[1],
            "price": price,
            "estimated": estimated,
        },
    )


def adapted(module: str, found: Any) -> Any:
    """A class of another library as a method; anything else as it is.

    Args:
        module: that it was named in.

    Raises:
        NoMethod: the class explains no image classifier.
    """
    top = module.partition(".")[0]
    if top not in LIBRARIES or not isinstance(found, type):
        return found
    return import_module(f"{__name__}.{top}").adapt(found)
