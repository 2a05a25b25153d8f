"""References to the user's code: ``FILE.py:Name``, ``package.module:Name``, names of packages.

And to maps that were made elsewhere, ``maps:FOLDER:second=FOLDER``, which are no code.

Reading a reference, finding the package that registers a name and listing what is installed import
nothing: ``user_code`` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from evaluator.errors import UsageError
from evaluator.text import printable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Axis = Literal["method", "metric", "backbone"]

GROUPS: dict[Axis, str] = {
    "method": "camtui.methods",
    "metric": "camtui.metrics",
    "backbone": "camtui.backbones",
}
"""The entry-point group of each axis."""

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_EXPORTED = re.compile(r"(?P<source>.+?\.pt2)(?P<name>)(?P<tail>:.*)?", re.DOTALL)
_IN_FILE = re.compile(rf"(?P<source>.+?\.py):(?P<name>{_NAME})(?P<tail>:.*)?", re.DOTALL)
_MAPS = re.compile(r"(?P<source>maps:.+)(?P<name>)(?P<tail>)", re.DOTALL)
_IN_MODULE = re.compile(rf"(?P<source>{_NAME}):(?P<name>{_NAME})(?P<tail>:.*)?", re.DOTALL)


_FILES = (".py", ".pt2")

_PREFIX, _SECOND = "maps:", ":second="


@dataclass(frozen=True)
class Reference:
    """A class, function or constant in a file or a module, a program of ``torch.export``, or maps.

    Attributes:
        source: absolute path of the file, the module's dotted name, or ``maps:`` with their place.
        name: dotted name within it; empty for a program, which is the whole file, and for maps.
    """

    source: str
    name: str

    @property
    def file(self) -> Path | None:
        """The file, ``None`` for a module and for maps."""
        return Path(self.source) if self.source.endswith(_FILES) and not self.maps else None

    @property
    def maps(self) -> tuple[Path, ...]:
        """Folder or file of maps, and that of the maps of explanation images; none for code."""
        if not self.source.startswith(_PREFIX):
            return ()
        first, _, second = self.source.removeprefix(_PREFIX).partition(_SECOND)
        return tuple(map(Path, filter(None, (first, second))))

    @property
    def text(self) -> str:
        """As it is stored and compared: ``/home/me/mycam.py:MyCAM``, ``package.module:Name``."""
        return f"{self.source}:{self.name}" if self.name else self.source

    @property
    def short(self) -> str:
        """For people: ``mycam.py:MyCAM``."""
        if self.maps:
            return _PREFIX + _SECOND.join(place.name for place in self.maps)
        source = self.file.name if self.file else self.source
        return f"{source}:{self.name}" if self.name else source


class Spec(NamedTuple):
    """A reference as typed, with its options.

    Attributes:
        tail: what follows the name, without the colon: ``beta=0.5,gamma=2``.
    """

    reference: Reference
    tail: str


def as_spec(text: str, base: Path | None = None) -> Spec | None:
    """A reference with options as typed; ``None`` for a name such as ``vgg16:layer=features.29``.

    ``~`` is expanded; a relative path begins at ``base``, the current folder where it is ``None``.
    The file need not be there. A module without a dot in its name must be, or ``scorecam:variant``,
    an option that lacks its value, would be a reference.
    """
    match = _match(text.strip())
    known = match is not None and match["source"].startswith(_PREFIX)
    if match is None or not (
        known or match["source"].endswith(_FILES) or _is_module(match["source"])
    ):
        return None
    return _spec(match, base)


def _match(text: str) -> re.Match[str] | None:
    if text.startswith(_PREFIX):
        return _MAPS.fullmatch(text)
    return _EXPORTED.fullmatch(text) or _IN_FILE.fullmatch(text) or _IN_MODULE.fullmatch(text)


def _is_module(source: str) -> bool:
    """Whether a dotted name may be a module's; without dots, whether there is such a module."""
    if "." in source:
        return True
    try:
        return find_spec(source) is not None
    except (ImportError, ValueError):
        return False


def _spec(match: re.Match[str], base: Path | None) -> Spec:
    source, name, tail = match["source"], match["name"], match["tail"] or ""
    if maps := Reference(source, name).maps:
        source = _PREFIX + _SECOND.join(_absolute(place, base) for place in maps)
    elif source.endswith(_FILES):
        source = _absolute(Path(source), base)
    return Spec(Reference(source, name), tail.removeprefix(":"))


def _absolute(path: Path, base: Path | None) -> str:
    return str(((base or Path.cwd()) / path.expanduser()).resolve())


def as_reference(text: str) -> Reference:
    """A reference without options.

    Raises:
        UsageError: it is none.
    """
    match = _match(text.strip())
    if match is None or match["tail"]:
        raise UsageError(
            f"'{printable(text, 100)}' names no code", "write FILE.py:Name or package.module:Name"
        )
    return _spec(match, None).reference


class Registered(NamedTuple):
    """An entry point of an installed package.

    Attributes:
        package: name and version of the distribution: ``mypackage 1.2``.
    """

    axis: Axis
    name: str
    reference: Reference
    package: str


def installed(axis: Axis) -> dict[str, Registered]:
    """Everything that installed packages register on one axis, by name; nothing is imported.

    Of a name that two packages register the first in alphabetical order of the packages counts.
    """
    from importlib.metadata import (
        entry_points,
    )  # 20 ms, for whoever names or lists what is installed

    found = sorted(
        (_registered(axis, entry) for entry in entry_points(group=GROUPS[axis])),
        key=lambda one: one.package,
    )
    return {one.name: one for one in reversed(found)}


def _registered(axis: Axis, entry: EntryPoint) -> Registered:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return Registered(axis, entry.name, Reference(entry.module, entry.attr), package)
