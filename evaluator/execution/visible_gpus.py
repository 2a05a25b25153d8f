"""The GPUs that a process may use: ``CUDA_VISIBLE_DEVICES`` as CUDA and torch read it."""

from __future__ import annotations

import re


def visible_gpus(present: int, listed: str | None) -> tuple[str, ...]:
    """The GPUs that CUDA shows, in its order, each as it is named in ``CUDA_VISIBLE_DEVICES``.

    The list ends at the first entry that is no device, so that ``0,-1,1`` is GPU 0 alone; a device
    that is named twice makes the whole list void; UUIDs (``GPU-…``, ``MIG-…``) and numbers do not
    mix.

    Args:
        present: GPUs of the machine.
        listed: the variable's value, ``None`` where it is not set.
    """
    if listed is None:
        return tuple(str(number) for number in range(present))
    entries = [entry.strip() for entry in listed.split(",")]
    for prefix in ("GPU-", "MIG-"):
        if entries[0].startswith(prefix):
            return _unique(_until_refused(entries, prefix))
    numbers: list[str] = []
    for entry in entries:
        match = re.match(r"\+?\d+", entry)
        if match is None or int(match[0]) >= present:
            break
        numbers.append(str(int(match[0])))
    return _unique(numbers)


def _until_refused(entries: list[str], prefix: str) -> list[str]:
    kept: list[str] = []
    for entry in entries:
        if not entry.startswith(prefix):
            break
        kept.append(entry)
    return kept


def _unique(names: list[str]) -> tuple[str, ...]:
    return tuple(names) if len(set(names)) == len(names) else ()
