"""``camtui ls``: which runs there are, and which of them are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.camtui.cli.support import ask, home
from tests.evaluator.execution.support import camtui

__all__ = ["home"]


@pytest.mark.long
def test_listing_and_removing(home: Path) -> None:
    assert camtui("ls").stderr == "there is no run yet: camtui run --demo\n"
    camtui(*ask(home), "-q")
    camtui(*ask(home), "-q", "--name", "second")
    (home / "runs" / "foreign.db").write_bytes(b"not a database at all, whatever its name says")
    runs = {run["run"]: run["state"] for run in json.loads(camtui("ls", "--json").stdout)["runs"]}
    assert runs == {"second": "complete", "pictures": "complete", "foreign": "unreadable"}
    short = camtui("ls", "--limit", "1")
    assert len(short.stdout.splitlines()) == 2
    assert short.stderr == "2 more: camtui ls --all\n"
    assert [
        run["run"]
        for run in json.loads(camtui("ls", "--json", "--filter", "state=complete, sec").stdout)[
            "runs"
        ]
    ] == ["second"]
    assert (
        camtui("ls", "--filter", "state=unreadable").stdout.splitlines()[1].startswith("foreign ")
    )
    assert camtui("ls", "--filter", "images>12").returncode == 4
    assert "for example --filter 'state=crashed'" in camtui("ls", "--filter", "statu=x").stderr
    assert camtui("rm", "second").returncode == 2  # nobody to ask
    assert camtui("rm", "second", "-y").returncode == 0
    assert not list((home / "runs").glob("second*"))
    assert camtui("status", "second").returncode == 4
