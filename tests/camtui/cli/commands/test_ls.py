"""``camtui ls``: which runs there are, and which of them are asked for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.camtui.cli.support import typed
from tests.synthetic import make_run


def test_listing_and_removing(home: Path) -> None:
    assert typed("ls").stderr == "there is no run yet: camtui run --demo\n"
    make_run(home / "runs" / "pictures.db", images=4)
    make_run(home / "runs" / "second.db", images=4)
    (home / "runs" / "foreign.db").write_bytes(b"not a database at all, whatever its name says")
    runs = {run["run"]: run["state"] for run in json.loads(typed("ls", "--json").stdout)["runs"]}
    assert runs == {"second": "complete", "pictures": "complete", "foreign": "unreadable"}
    short = typed("ls", "--limit", "1")
    assert len(short.stdout.splitlines()) == 2
    assert short.stderr == "2 more: camtui ls --all\n"
    assert [
        run["run"]
        for run in json.loads(typed("ls", "--json", "--filter", "state=complete, sec").stdout)[
            "runs"
        ]
    ] == ["second"]
    assert typed("ls", "--filter", "state=unreadable").stdout.splitlines()[1].startswith("foreign ")
    assert typed("ls", "--filter", "images>12").exit_code == 4
    assert typed("rm", "second").exit_code == 2  # nobody to ask
    assert typed("rm", "second", "-y").exit_code == 0
    assert not list((home / "runs").glob("second*"))
    assert typed("status", "second").exit_code == 4
