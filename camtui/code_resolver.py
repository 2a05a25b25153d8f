"""The user's own methods, metrics and backbones: from a name to a plan's entry, and who may run.

Nothing of theirs is imported in this process: a child describes them
(``evaluator.user_code_checks``).
"""

from __future__ import annotations

import json
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from camtui.launch import ChildEnded, ask_once
from camtui.runs import fault_of, not_mine, runs_home, write_private
from evaluator import catalog
from evaluator.errors import CodeNotAllowed, Mismatch, RunFailed, UsageError
from evaluator.methods import all_methods
from evaluator.metrics import all_metrics
from evaluator.references import Axis, Reference, Spec, as_reference, as_spec, installed
from evaluator.text import printable
from evaluator.user_code import changed, check_defined, sources_of
from evaluator.user_code_checks import described_maps
from evaluator.user_code_facts import Code


def trust_file() -> Path:
    """Return the file of allowed code."""
    return runs_home().parent / "allowed-code.json"


def allowed_before() -> set[tuple[str, str]]:
    """Return every allowed (reference, hash of its source).

    None where the file cannot be read, or where somebody else may have written it.
    """
    if not_mine(trust_file()):
        return set()
    try:
        # the file that is opened is the one that is looked at, and a FIFO does not block
        with open(trust_file(), encoding="utf-8", opener=_opened) as stream:
            if fault_of(os.fstat(stream.fileno()), stat.S_ISREG):
                return set()
            stored = json.load(stream)
        return {(str(reference), str(sha256)) for reference, sha256 in stored["allowed"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def remember(sources: Mapping[str, str]) -> None:
    """Allow these from now on; for this time alone where the folder is not the user's.

    Args:
        sources: the text of each reference → the hash of its source.

    Raises:
        UsageError: the file cannot be written.
    """
    before = allowed_before()
    now = before | set(sources.items())
    file = trust_file()
    if now == before or fault_of(file.parent.stat(), stat.S_ISDIR):
        return
    try:
        write_private(file, json.dumps({"allowed": sorted(now)}, indent=1) + "\n")
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(file)}: {error.strerror}",
            "set CAMTUI_HOME to a folder of yours",
        ) from error


def refuse_unnamed(reference: str, sha256: str, retry_command: str) -> None:
    """Refuse code that has not been allowed here.

    Args:
        reference: its text; ``sha256``: of its source as it is now.
        retry_command: the command to go on with, without ``--allow-code``.

    Raises:
        CodeNotAllowed: it has not been.
    """
    if (reference, sha256) not in allowed_before():
        why = not_mine(trust_file())
        maps = as_reference(reference).maps
        what, look = ("maps", "look at them") if maps else ("code", "read it")
        raise CodeNotAllowed(
            f"this needs {what} that you have not named here: {printable(reference)}"
            + f" (what was allowed before is not believed: {why})" * bool(why),
            f"{look}, then {retry_command} --allow-code",
        )


def allowed_of(
    codes: Iterable[Code], retry_command: str, *, allow: bool, named: Iterable[str] = ()
) -> dict[str, str]:
    """Return what a run may import; what the user allows by asking now is remembered.

    Args:
        codes: of its plan.
        retry_command: the command to go on with, without ``--allow-code``.
        allow: ``--allow-code`` was given.
        named: texts of the references that were typed.

    Raises:
        CodeNotAllowed: somebody else's code that the user has not named.
        Mismatch: a source is not what the run was made with.
    """
    wanted = list(codes)
    by_now = set(named)
    for one in wanted:
        reference = as_reference(one.reference)
        now = sources_of(reference).sha256
        if now != one.sha256:
            raise Mismatch(
                changed(reference, one.sha256, now),
                "put the former source back, or choose another --name",
            )
        if not allow and one.reference not in by_now:
            refuse_unnamed(one.reference, now, retry_command)
    sources = {one.reference: one.sha256 for one in wanted}
    if sources:
        remember(sources)
    return sources


DESCRIBING_SECONDS = 120.0
"""Seconds that the import of somebody's module may take."""


@dataclass
class Resolver:
    """Finds the code behind names, and collects what a plan must know of it.

    Attributes:
        stored: code of the run that is there already.
        typed: specs that the user has typed in this command: the code that they refer to may run.
        allow: ``--allow-code`` was given.
        retry_command: the command to go on with, without ``--allow-code``, for the refusal.
        named: texts of the references that were typed.
    """

    stored: tuple[Code, ...] = ()
    typed: frozenset[str] = frozenset()
    allow: bool = False
    retry_command: str = "the same command with"
    named: set[str] = field(default_factory=set)
    _found: dict[tuple[Axis, str], Code] = field(default_factory=dict)

    def code(self) -> list[dict[str, Any]]:
        """Return all code that was found, as values of a plan."""
        return [asdict(one) for one in self._found.values()]

    def names(self, axis: Axis, specs: Sequence[str]) -> list[str]:
        """Return the specs with the name in the run in place of each reference.

        ``./mycam.py:MyCAM:beta=1`` → ``mycam:beta=1``.

        Raises:
            CamtuiError: code that may not run, cannot be imported, or is not what its axis takes.
        """
        given = [(spec, self._place_of(axis, spec)) for spec in specs]
        tails: dict[tuple[Reference, str], list[str]] = defaultdict(list)
        for spec, place in given:
            if place is not None:
                tails[place.spec.reference, place.package].append(place.spec.tail)
                self._permit(axis, spec, place)
        keys = {
            reference: self._key(axis, reference, package, wanted)
            for (reference, package), wanted in tails.items()
        }
        return [
            spec if place is None else _with_tail(keys[place.spec.reference], place.spec.tail)
            for spec, place in given
        ]

    def _place_of(self, axis: Axis, spec: str) -> _Place | None:
        """Return the place of a spec's code; ``None`` for camtui's own and for unknown names."""
        key = catalog.key_of(spec)
        tail = spec[len(key) + 1 :]
        if key in _own(axis):
            return None
        known = next((one for one in self.stored if (one.axis, one.key) == (axis, key)), None)
        if known is not None and (reference := as_spec(known.reference)):
            return _Place(Spec(reference.reference, tail), known.package, by_run=True)
        if given := as_spec(spec):
            return _Place(given)
        registered = installed(axis).get(key)
        return _Place(Spec(registered.reference, tail), registered.package) if registered else None

    def _typed_references(self, axis: Axis) -> set[str]:
        """Return the text of every reference that was typed, by itself or by a registered name."""
        registered = installed(axis)
        given = {spec.reference.text for spec in map(as_spec, self.typed) if spec}
        return given | {
            one.reference.text
            for text in self.typed
            if (one := registered.get(catalog.key_of(text)))
        }

    def _permit(self, axis: Axis, spec: str, place: _Place) -> None:
        reference = place.spec.reference
        typed = spec in self.typed or reference.text in self._typed_references(axis)
        if self.allow or (typed and not place.by_run):
            self.named.add(reference.text)
        elif reference.text not in self.named:
            refuse_unnamed(reference.text, sources_of(reference).sha256, self.retry_command)

    def _key(self, axis: Axis, reference: Reference, package: str, tails: list[str]) -> str:
        """Return the name in the run of what a reference names."""
        sha256 = sources_of(reference).sha256
        known = next(
            (one for one in self.stored if (one.axis, one.reference) == (axis, reference.text)),
            None,
        )
        asked = Code(axis, known.key if known else reference.text, reference.text, sha256, package)
        if axis == "backbone":
            if known is None and reference.file and reference.name:
                check_defined(reference)
            described = asked
        elif known is not None and known.sha256 == sha256 and _describes(known, tails):
            described = known
        else:
            described = describe(asked, tails)
        other = self._found.get((axis, described.key))
        if other is not None and other.reference != described.reference:
            raise UsageError(
                f"{printable(other.reference)} and {printable(described.reference)} are both "
                f"called {described.key}",
                "give one of them another key",
            )
        self._found[axis, described.key] = described
        return described.key


@dataclass(frozen=True)
class _Place:
    """The place of a spec's code.

    Attributes:
        package: that registers it, if an installed one does.
        by_run: the run that is there says so; nobody has typed it.
    """

    spec: Spec
    package: str = ""
    by_run: bool = False


def _own(axis: Axis) -> Iterable[str]:
    return {"method": all_methods(), "metric": [*all_metrics(), "all"], "backbone": ()}[axis]


def _with_tail(key: str, tail: str) -> str:
    return f"{key}:{tail}" if tail else key


def _describes(code: Code, tails: list[str]) -> bool:
    """Return whether a stored description has the method with these options."""
    if code.axis == "metric":
        return True
    catalog.register(code)
    return all(
        catalog.method(_with_tail(code.key, tail)).name in code.facts.get("specs", {})
        for tail in tails
    )


def describe(code: Code, tails: list[str]) -> Code:
    """Import a method or a metric in a process of its own and return what there is to know of it.

    Raises:
        CamtuiError: it cannot be imported, or is not what a method or a metric must be.
    """
    if as_reference(code.reference).maps:
        return described_maps(code)
    asked = {
        "axis": code.axis,
        "reference": code.reference,
        "sha256": code.sha256,
        "package": code.package,
        "key": code.key,
    }
    name = printable(code.reference)
    try:
        answer = ask_once(
            "evaluator.user_code_checks", {**asked, "tails": tails}, DESCRIBING_SECONDS
        )
    except TimeoutError as error:
        raise UsageError(
            f"importing {name} took longer than {DESCRIBING_SECONDS:.0f} s",
            "nothing slow may run when a module is imported",
        ) from error
    except ChildEnded as end:
        raise RunFailed(
            f"importing {name} ended the process: {printable(end.said, 200)}",
            "import it in Python to see what it does",
        ) from None
    return Code.from_dict(answer["code"])
