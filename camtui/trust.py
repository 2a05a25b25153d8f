"""The code that the user has allowed to run here: references with the hash of their source.

No file makes camtui run code: what a run or a plan file names is imported only where the user has
named it here before, or says ``--allow-code``. As direnv does it, a changed source has to be named
again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from camtui.runs import runs_home
from evaluator.code_sources import sources_of
from evaluator.errors import CodeNotAllowed, Mismatch, UsageError
from evaluator.references import as_reference
from evaluator.text import printable
from evaluator.user_code import changed
from evaluator.user_code_facts import Code


def trust_file() -> Path:
    """Return the file of allowed code."""
    return runs_home().parent / "allowed-code.json"


def allowed_before() -> set[tuple[str, str]]:
    """Return every allowed (reference, hash of its source); none if the file is unreadable."""
    try:
        stored = json.loads(trust_file().read_text(encoding="utf-8"))
        return {(str(reference), str(sha256)) for reference, sha256 in stored["allowed"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def remember(sources: Mapping[str, str]) -> None:
    """Allow these from now on.

    Args:
        sources: the text of each reference → the hash of its source.

    Raises:
        UsageError: the file cannot be written.
    """
    before = allowed_before()
    now = before | set(sources.items())
    if now == before:
        return
    file = trust_file()
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        new.touch(mode=0o600)
        new.write_text(json.dumps({"allowed": sorted(now)}, indent=1) + "\n", encoding="utf-8")
        new.replace(file)
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
        raise CodeNotAllowed(
            f"this needs code that you have not named here: {printable(reference)}",
            f"read it, then {retry_command} --allow-code",
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
    remember(sources)
    return sources
