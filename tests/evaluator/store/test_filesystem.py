"""A run's file lies on a disk of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evaluator.errors import UsageError
from evaluator.store.files import file_system, refuse_network


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/x/runs", "nfs4"),
        ("/home", "nfs4"),
        ("/homes", "ext4"),
        ("/mnt/with space/a", "fuse.sshfs"),
        ("/tmp", "tmpfs"),
    ],
)
def test_which_file_system_a_folder_is_on(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\nodd line\nserver:/h /home nfs4 rw 0 0\n"
        "x /mnt/with\\040space fuse.sshfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
    )
    assert file_system(Path(folder), mounts) == kind


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/h {os.path.realpath(tmp_path)} cifs rw 0 0\n")
    with pytest.raises(UsageError, match="network file system .cifs.") as caught:  # noqa: RUF043  the dots are quotation marks
        refuse_network(tmp_path / "run.db", mounts)
    assert "--db" in caught.value.hint
    refuse_network(tmp_path / "run.db", tmp_path / "no such file")
