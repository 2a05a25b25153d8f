"""Options of a backbone, ``resnet50:side=256,std=0.5``: read from text, and checked in a plan."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

from evaluator.errors import UsageError
from evaluator.records import Interpolation, Score
from evaluator.text import did_you_mean, printable

WORDS: dict[str, tuple[str, ...]] = {
    "interpolation": get_args(Interpolation),
    "score": get_args(Score),
    "cut": ("graph", "hooks"),
    "transform_input": ("yes", "no"),
}
"""Options that take one of a few words."""

NUMBERS: dict[str, tuple[int, int]] = {
    "side": (8, 4096),
    "resize": (8, 8192),
    "channels": (1, 3),
    "tokens": (0, 1024),
}
"""Options that take a whole number, and from where to where."""

STATISTICS = ("mean", "std")
"""Options that take a number for all channels, or one for each: ``0.485/0.456/0.406``."""


def read_option(name: str, text: str) -> Any:
    """The value of an option from what was typed.

    Raises:
        UsageError: it is none that the option takes.
    """
    value: Any = text
    if name in NUMBERS:
        value = int(text) if text.isdecimal() else None
    elif name in STATISTICS:
        value = _numbers(text)
    if value is None or not check_option(name, value):
        raise UsageError(
            f"{name}= takes {_takes(name)}, not '{printable(text, 60)}'", _example(name, text)
        )
    return value


def check_option(name: str, value: Any) -> bool:
    """Whether an option takes a value; ``None`` leaves the network's own.

    Unknown names are not refused here.
    """
    if value is None:
        return name != "key"
    if name in WORDS:
        return value in WORDS[name]
    if name in NUMBERS:
        least, most = NUMBERS[name]
        return type(value) is int and least <= value <= most and (name != "channels" or value != 2)
    if name in STATISTICS:
        return (
            isinstance(value, list | tuple)
            and len(value) in (1, 3)
            and all(
                isinstance(one, int | float) and math.isfinite(one) and (name == "mean" or one > 0)
                for one in value
            )
        )
    if name == "output":
        return (isinstance(value, str) and value != "") or (type(value) is int and value >= 0)
    return isinstance(value, str)


def _numbers(text: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(part) for part in text.split("/"))
    except ValueError:
        return None


def _takes(name: str) -> str:
    if name in WORDS:
        return " or ".join(WORDS[name])
    if name == "channels":
        return "1 (grey) or 3 (RGB)"
    if name in NUMBERS:
        least, most = NUMBERS[name]
        return f"a whole number from {least} to {most}"
    if name == "output":
        return "the place of an output, from 0, or its name"
    return "one number for all channels, or three with / between them" + (
        ", above 0" if name == "std" else ""
    )


def _example(name: str, text: str) -> str:
    if name in WORDS:
        return f"{did_you_mean(text, WORDS[name])}for example {name}={WORDS[name][0]}"
    examples = {
        "channels": "1",
        "mean": "0.485/0.456/0.406",
        "std": "0.229/0.224/0.225",
        "tokens": "1",
        "output": "1",
    }
    return f"for example {name}={examples.get(name, '224')}"


MOST_CLASSES = 1_000_000


def read_class_names(file: str) -> tuple[str, ...]:
    """Class names by index, one a line; empty lines at the end fall away.

    Raises:
        UsageError: the file cannot be read, or names nothing.
    """
    hint = "one name a line: --classes FILE"
    try:
        lines = Path(file).read_text("utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read the class names {printable(file)}: {printable(error, 120)}", hint
        ) from error
    if not lines or len(lines) > MOST_CLASSES:
        raise UsageError(f"{printable(file)} names {len(lines)} classes", hint)
    return tuple(line.strip() for line in lines)
