"""Refusal of network file systems: SQLite's log and locks need a disk of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evaluator.errors import UsageError
from evaluator.text import printable

_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs",
    "orangefs", "pvfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse",
    "fuse.rclone", "fuse.juicefs",
}  # fmt: skip
"""File systems on which several machines write, or whose locks and shared memory are not to be
trusted.
"""

MOUNTS = Path("/proc/self/mounts")


def refuse_network(database: Path, mounts: Path | None = None) -> None:
    """Refuse a place that other machines can write to.

    Raises:
        UsageError: the folder is on a network file system.
    """
    kind = file_system(database.parent, mounts or MOUNTS)
    if kind in _NETWORK:
        raise UsageError(
            f"{printable(database.parent)} is on a network file system ({kind}), where a run's "
            "database can be damaged",
            "keep it on a local disk: --db /var/tmp/NAME.db",
        )


def file_system(folder: Path, mounts: Path) -> str:
    """The kind of file system a folder is on, empty where it cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place = os.path.realpath(folder)
    best, kind = "", ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _unescaped(fields[1])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(
            best
        ):  # the later of two mounts on one point hides the earlier
            best, kind = point, fields[2]
    return kind


def _unescaped(text: str) -> str:
    r"""Spaces and the like stand as ``\040`` in the table of mounts."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
