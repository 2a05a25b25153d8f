"""One page over several runs: one ranking, or what survives their protocols; others are refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from camtui.ranks import ranks_of
from evaluator import catalog
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed
from tests.camtui.figures.conftest import run
from tests.camtui.figures.test_report import Page
from tests.synthetic import make_run

ALL = ("fakecam", "gradcam", "gradcampp", "scorecam", "layercam", "eigencam")


def made(home: Path, name: str, methods: Sequence[str] = ALL, **settings: object) -> Path:
    options: dict[str, object] = {"images": 60, "backbones": ["resnet18", "vgg16"], **settings}
    path = home / "runs" / f"{name}.db"
    return make_run(path, methods=methods, data=home / "data", **options)  # type: ignore[arg-type]  # keyword bag of a test


def page(home: Path, *words: str) -> str:
    target = home / "page.html"
    code, said = run("report", *words, "-o", str(target), "--force")
    assert code == 0, said
    return target.read_text("utf-8")


def averages(text: str) -> list[list[str]]:
    begin = text.index('<section id="averages">')
    return Page(text[begin : text.index("</section>", begin)]).rows


def test_parts_are_ranked_as_the_whole(home: Path) -> None:
    made(home, "whole")
    made(home, "first", ALL[:3])
    made(home, "second", ALL[3:], backbones=["vgg16"])
    made(home, "third", ALL[3:], backbones=["resnet18"])
    whole = page(home, "whole", "--no-charts", "--images", "0")
    parts = page(home, "first", "second", "third")
    assert averages(parts) == averages(whole)
    answer = parts[parts.index('<ul class="answer">') : parts.index("</ul>")]
    assert answer == whole[whole.index('<ul class="answer">') : whole.index("</ul>")]
    assert parts.count("<img ") == 1, "ranks across networks"


def test_a_method_of_two_runs_stands_there_twice(home: Path) -> None:
    made(home, "mine", ("gradcam", "scorecam"), backbones=["vgg16"])
    made(home, "theirs", ("gradcam",), backbones=["vgg16"])
    rows = {row[0]: row[1] for row in averages(page(home, "mine", "theirs"))[1:]}
    assert rows["Grad-CAM (mine)"] == rows["Grad-CAM (theirs)"]
    assert "Score-CAM" in rows


def test_runs_of_several_protocols_are_ranked_by_what_survives(home: Path) -> None:
    plans: dict[str, tuple[float, dict[str, object]]] = {
        "usual": (0.0, {}),
        "pixels": (-0.3, {"masking": "pixels"}),
        "label": (0.3, {"target": "label"}),
    }
    paths = [
        made(home, name, shift=shift, plan=plan, images=200)
        for name, (shift, plan) in plans.items()
    ]
    text = page(home, *plans)
    found = ranks_of([RunReader(path) for path in paths], [catalog.metric("adcc")])
    assert any(pair.flipped_by for one in found.rankings for pair in one.pairs)
    for one in found.rankings:
        turned = sum(bool(pair.better and pair.worse) for pair in one.pairs)
        assert one.w is not None
        expected = f"{turned} of {len(one.pairs)} pairs</b> of methods turn round in ADCC; "
        assert f"{expected}Kendall's W {one.w:.2f}" in text
        (row,) = [
            row
            for row in Page(text).rows
            if row[0] == "ADCC ↑" and row[1].replace("-", "").lower() == one.backbone
        ]
        assert row[2:4] == [f"{one.w:.3f}", str(len(one.pairs))]
    assert text.count("<img ") == 2, "a chart for each network"
    assert "pixels: target predicted, masking pixels" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"images": 50}, "images: 60 → 50"),
        ({"plan": {"seed": 1}}, "seed: 0 → 1"),
        ({"plan": {"resize": 256}, "images": 50}, "images: 60 → 50"),
        ({"plan": {"resize": 256}, "backbones": ["vgg16"]}, "networks: resnet18, vgg16 → vgg16"),
    ],
)
def test_strangers_are_refused_by_what_differs(
    home: Path, settings: dict[str, object], said: str
) -> None:
    made(home, "one")
    made(home, "other", **settings)  # type: ignore[arg-type]  # keyword bag of a test
    code, words = run("report", "one", "other", "-o", str(home / "page.html"))
    assert code == 4
    assert said in words
    assert not (home / "page.html").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("$.sha256", "0" * 64, "weights of resnet18: "),
        ("$.preprocessing.resize", 256, "different protocols (resnet18 input: 224 from 224 "),
    ],
)
def test_another_network_of_that_name_is_refused(
    home: Path, key: str, value: object, said: str
) -> None:
    made(home, "one")
    with closing(sqlite3.connect(made(home, "other"))) as connection, connection:
        connection.execute("UPDATE backbones SET loaded = json_set(loaded, ?, ?)", [key, value])
    code, words = run("report", "one", "other", "-o", str(home / "page.html"))
    assert code == 4
    assert said in words


def test_a_run_is_not_set_beside_itself(home: Path) -> None:
    made(home, "one")
    code, words = run("report", "one", "one", "-o", str(home / "page.html"))
    assert code == 2
    assert "a run is named twice" in words


def test_who_verified_what(home: Path) -> None:
    made(home, "one", ALL[:3])
    made(home, "two", ALL[3:])
    checked = json.loads(typed("verify", "two", "--recompute", "0", "--json").stdout)
    (home / "sums.json").write_text(json.dumps(checked))
    (home / "alice.json").write_text(json.dumps({**checked, "drawn": 20, "agreed": 20}))
    files = [word for name in ("sums", "alice") for word in ("--verified", f"{home / name}.json")]
    text = page(home, "one", "two", *files)
    told = {row[0]: row[-1] for row in Page(text).rows if row[0] in ("one", "two")}
    assert told == {
        "one": "unverified",
        "two": "hashes and sums only (sums.json); 20 of 20 rows computed again agree (alice.json)",
    }
    assert "Verified: hashes and sums only (sums.json)" in page(home, "two", *files[:2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({"fingerprint": "0", "verified": True, "drawn": 0, "agreed": 0}), "is of none"),
        ("[1]", "is not what camtui verify --json prints"),
        ("{}", "is not what camtui verify --json prints"),
    ],
)
def test_what_verifies_nothing_is_refused(home: Path, text: str, said: str) -> None:
    (home / "x.json").write_text(text)
    target = str(home / "page.html")
    code, words = run("report", "pics", "-o", target, "--verified", str(home / "x.json"))
    assert code == 2
    assert said in words
