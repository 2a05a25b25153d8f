"""Error messages say what was given, what was expected and what to type next, each on its line;
nothing is written meanwhile.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import ROOT, make_data
from tests.synthetic import make_run

# typed; exit code; in the error: what was given or is missing; in the hint: what to type
CASES: list[tuple[str, int, str, str]] = [
    ("statsu", 2, "'statsu'", "--help"),
    ("new", 2, "Missing argument 'KIND'. Choose from: method, metric, backbone", "--help"),
    ("new thing x", 2, "'thing' is not one of 'method', 'metric', 'backbone'", "--help"),
    ("schema statsu", 4, "statsu", "did you mean 'status'?"),
    ("judge val", 4, "no measure of truth", "camtui run --name val --truth MASKS"),
    ("judge val -f latx", 2, "'latx'", "did you mean 'latex'?"),
    ("judge val --draws 1", 2, "--draws", "camtui"),
    ("table val --by clas", 2, "--by takes class or correct", "--by"),
    ("table val --by class --long", 2, "a layout of its own", ""),
    ("table val --by class --pivot adcc", 2, "a layout of its own", ""),
    ("bench -b resnet5", 2, "unknown network", "camtui backbones"),
    ("watch val --images kity", 2, "'kity'", "did you mean 'kitty'"),
    ("watch val --interval 0", 2, "--interval", ""),
    ("status --jsn", 2, "--jsn", "status --help"),
    ("status vall", 4, "no run 'vall'", "did you mean 'val'? list them: camtui ls"),
    ("status va", 4, "2 runs begin with 'va'", "give the whole name: camtui ls"),
    ("status ./none.db", 4, "none.db", "camtui ls"),
    ("status readme.db", 4, "readme.db is not a run of camtui", "camtui ls"),
    ("wait val --timeout x", 2, "'x' is no duration", "--timeout 90s, 30m or 2h"),
    ("wait val --timeout '5 weeks'", 2, "'5 weeks' is no duration", "--timeout 90s, 30m or 2h"),
    ("wait val --timeout=-1s", 2, "'-1s' is no duration", "--timeout 90s, 30m or 2h"),
    ("wait val --timeout nan", 2, "'nan' is no duration", "--timeout 90s, 30m or 2h"),
    ("wait val --timeout soon", 2, "'soon' is no duration", "--timeout 90s, 30m or 2h"),
    (
        "logs val --level warn",
        2,
        "or error, not 'warn'",
        "did you mean 'warning'? for example --level warning",
    ),
    ("logs val --level zzz", 2, "not 'zzz'", "--level warning"),
    ("ls --filter zzz", 4, "'zzz'", "camtui ls"),
    (
        "ls --filter stat=crashed",
        2,
        "knows no 'stat'",
        "did you mean 'state'? for example --filter 'state=crashed'",
    ),
    ("stop", 4, "no run is under way", "camtui ls"),
    ("rm val", 2, "no terminal to ask on", "--yes"),
    ("run", 2, "no images are named", "camtui run --data FOLDER -b resnet50 -m gradcam"),
    ("run --data dat -b resnet50", 2, "dat", "did you mean 'data'? camtui run --data /"),
    ("run --data nowhere -b resnet50", 2, "no such folder: ", "camtui run --data"),
    ("run --nonsense", 2, "no option '--nonsense'", "camtui run --help"),
    ("run --limt 3", 2, "no option '--limt'", "did you mean '--limit'? camtui run --help"),
    ("status --jsn", 2, "no option '--jsn'", "did you mean '--json'? camtui status --help"),
    ("run --data data -b resnet50 -m grdcam", 2, "unknown method 'grdcam'", "mean 'gradcam'?"),
    ("rum", 2, "no command 'rum'. Did you mean 'run'?", "camtui run --help"),
    ("run --data empty -b resnet50", 2, "no images in", "camtui run --demo"),
    ("run --demo --data data", 2, "--demo and --data", "leave one of them out"),
    ("run --data data", 2, "no network is named", "camtui backbones"),
    (
        "run --data data -b resnet5",
        2,
        "unknown network 'resnet5'",
        "did you mean 'resnet50'? list them: camtui backbones",
    ),
    ("run --data data -b ./net.py", 2, "'./net.py'", "./net.py:NAME; or list them: camtui back"),
    ("run --data data -b resnet50 -m net.py", 2, "'net.py'", "of the file, net.py:NAME; or list"),
    ("run --data data -b resnet50:depth=3", 2, "no option 'depth'", "-b resnet50:layer=NAME"),
    (
        "RUN -m grad",
        2,
        "unknown method 'grad'",
        "did you mean 'gradcam'? list them: camtui methods",
    ),
    ("RUN -m scorecam:variant=ci", 2, "not 'ci'", "did you mean 'cic'? for example -m"),
    ("RUN -m iscam:n", 2, "option 'n' has no value", "iscam:n=VALUE"),
    ("RUN -m iscam:n=x", 2, "not 'x'", "-m iscam:n=10"),
    ("run --data data -b vgg16 -m cam", 2, "cam does not apply to vgg16", "camtui methods"),
    ("RUN --metric adc", 2, "unknown metric 'adc'", "did you mean 'adcc'?"),
    ("RUN --target true", 2, "predicted or label, not 'true'", "--target predicted"),
    ("RUN --precision fp16", 2, "not 'fp16'", "did you mean 'bf16'? for example --precision fp32"),
    ("RUN --resize 300", 2, "224 or 256, not 300", "--resize 256"),
    ("RUN -n x", 2, "Invalid value", "--help"),
    ("RUN -n 0", 2, "not 0", "leave it out to take every image"),
    ("RUN -F -d", 2, "--foreground and --detach", "leave one of them out"),
    ("RUN --until 'ci<=0'", 2, "a number above 0, not '0'", "--until 'ci<=0.5'"),
    ("RUN --until 'drop<=1'", 2, "ci<=POINTS, decided or all, not 'drop<=1'", "--until decided"),
    ("RUN --margin 1", 2, "--margin goes with --until decided", "--until decided:margin"),
    ("RUN --drop-decided", 2, "--drop-decided goes with --until decided", "--until decided"),
    ("RUN --until decided --margin 0", 2, "above 0, not 0", "decided:margin=0.5"),
    ("RUN -m gradcam --until decided", 2, "there is one: gradcam", "-m gradcam,layercam"),
    ("RUN -n 49 --until decided", 2, "after 50 images, and there are 49", "a larger -n"),
    ("RUN --until decided", 2, "after 50 images, and there", "leave --until out"),
    ("RUN --curve-steps 1", 2, "--metric deletion:steps takes a number from 2", "28"),
    ("RUN --metric deletion:steps=x", 2, "--metric deletion:steps takes a number", "28"),
    ("RUN --metric deletion:step=9", 2, "no option 'step'", "did you mean 'steps'"),
    ("RUN --metric iou:steps=9", 2, "no option 'steps'", "it has no options"),
    ("RUN --metric road:removal=rnk", 2, "not 'rnk'", "did you mean 'rank'"),
    ("RUN --metric deletion:steps=9,insertion:steps=8", 2, "contradicts steps=9", "once"),
    ("RUN --metric deletion:steps=9 --curve-steps 8", 2, "contradicts", "give one"),
    ("RUN --until decided:margn=1", 2, "margin=POINTS and drop", "decided:margin=0.5,drop"),
    ("RUN --until decided:margin=x", 2, "above 0", "decided:margin=0.5"),
    ("RUN --weights random:x", 2, "names no seed", "--weights random:0"),
    ("RUN --weights w.bin", 2, "w.bin", ".safetensors or .pth"),
    ("RUN --labels none.csv", 2, "none.csv", "--labels FILE.csv"),
    ("RUN --device gpu", 2, "not 'gpu'", "--device cuda:0,cuda:1"),
    ("RUN --device cpu --workers 0", 2, "not 0", "leave it out for one on each device"),
    ("RUN --executor slurm", 2, "local or ray, not 'slurm'", "leave it out"),
    (
        "RUN --ray-address auto",
        2,
        "--ray-address is of use with Ray",
        "--executor ray --ray-address",
    ),
    ("RUN --batch-size 0", 2, "--batch-size takes", "leave it out"),
    ("RUN --batch-size big", 2, "not 'big'", "leave it out"),
    ("RUN --max-failures few", 2, "not 'few'", "--max-failures 1%"),
    ("RUN --on-finish 'nosuch it'", 2, "no command 'nosuch'", "--on-finish"),
    ("RUN --name a/b", 2, "'a/b' is no name", "--name NAME"),
    ("RUN --db x.sqlite", 2, "not 'x.sqlite'", "--db x.db"),
    ("run --config none.toml", 2, "none.toml", "--config PLAN.toml"),
    ("run --config bad.toml", 2, "bad.toml is not TOML", "camtui show RUN --config"),
    ("run --config odd.toml", 2, "a plan has no 'bakbones'", "did you mean 'backbones'?"),
    ("table val -f xml", 2, "'xml'", "known:"),
    ("table val --pivot adcc --long", 2, "--pivot and --long", "give one of them"),
    ("table val --filter 'adcc>x'", 2, "'x' is no number", "--filter"),
    ("table val --filter vgg19", 4, "'vgg19'", "camtui table RUN"),
    ("export val -o a.xyz", 2, "'a.xyz'", "add -f, one of csv"),
    ("export val -o readme.db -f csv", 2, "readme.db exists", "--force"),
    ("export val -o empty -f csv", 2, "empty is a folder", "-o FILE"),
    ("export val -f md --per-image", 2, "md has no per-image form", "--per-image -f csv"),
    ("compare val nothing", 4, "no run 'nothing'", "camtui ls"),
    ("compare val paper", 4, "an option", "camtui compare val --paper"),
    ("worst val --cell vgg16/cam", 4, "vgg16/cam has no adcc yet", "camtui table val"),
    ("worst val --by adc", 2, "'adc'", "did you mean 'adcc'?"),
    ("worst val gradcamm", 4, "no network and method 'gradcamm'", "the run has"),
    ("worst val --cell gradcam", 2, "'gradcam' may be any of", "one of"),
    ("image val resnet18/fakecam 1 2 -o a.png", 2, "not 2", "--all-methods"),
    (
        "image val resnet18/fakecam ILSVRC2012_vla_00000003 -o a.png",
        4,
        "no images match 'ILSVRC2012_vla_00000003'",
        "did you mean 'ILSVRC2012_val_00000003'? give its number or its whole path: camtui worst",
    ),
    ("image val resnet18/fakecam 9999 -o a.png", 4, "no image 9999", "camtui worst RUN"),
    ("image val resnet18/fakecam 1 --view x -o a.png", 2, "not 'x'", "--view overlay"),
    ("image val resnet18/fakecam 1 --colours jet -o a.png", 2, "not 'jet'", "--colours cividis"),
    (
        "figure val",
        2,
        "Missing argument 'KIND'",
        "camtui figure val convergence -o convergence.pdf; camtui figure",
    ),
    (
        "figure val ranks",
        2,
        "Missing option '--output' / '-o'",
        "camtui figure val convergence -o convergence.pdf",
    ),
    ("figure val rank -o a.png", 2, "no chart 'rank'", "did you mean 'ranks'?"),
    ("figure val ranks -o a.bmp", 2, "'a.bmp'", "-o FILE.png"),
    ("compare val", 2, "two runs or more", "camtui compare RUN --paper"),
    ("compare val var --paper", 2, "one run, not 2", "camtui compare RUN --paper"),
    ("compare val --paper --metric adc", 2, "'adc'", "did you mean 'adcc'?"),
    ("bench --precision fp8", 2, "not 'fp8'", "--precision mixed"),
    ("watch val --images big", 2, "not 'big'", "--images half"),
]
"""``RUN`` stands for ``run --data data -b resnet50``."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, a folder of images, an empty one, and files that are no good."""
    folder = tmp_path_factory.mktemp("errors")
    for name in ("val", "var"):
        make_run(
            folder / "runs" / f"{name}.db",
            methods=("fakecam", "cam", "gradcam", "gradcampp"),
            images=6,
        )
    make_data(folder / "data", 2)
    (folder / "empty").mkdir()
    (folder / "readme.db").write_text("no database\n")
    (folder / "bad.toml").write_text("data = \n")
    (folder / "odd.toml").write_text('data = "data"\nbackbones = ["resnet50"]\nbakbones = []\n')
    return folder


@pytest.mark.parametrize(("words", "code", "given", "next_step"), CASES)
def test_a_message(
    words: str,
    code: int,
    given: str,
    next_step: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CAMTUI_HOME", str(folder))
    for name in ("FORCE_COLOR", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    before = files(folder)
    result = typed(*shlex.split(words.replace("RUN", "run --data data -b resnet50")))
    assert result.exit_code == code, result.stderr
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert given in error
    assert hint.startswith("hint:  ")
    assert next_step in hint
    assert result.stdout == ""
    assert files(folder) == before


def files(folder: Path) -> list[Path]:
    """The files in a folder, but for SQLite's own files beside a database that is read."""
    return sorted(file for file in folder.rglob("*") if not file.name.endswith(("-wal", "-shm")))


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Every ``raise Error(…)`` of ours that a user can meet."""
    for file in sorted(
        file for package in ("camtui", "evaluator") for file in (ROOT / package).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Call)
                and isinstance(node.exc.func, ast.Name)
            ):
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.exc


def test_every_error_says_what_to_type_next() -> None:
    """The hint is there, and is more than a guess at what was meant. Failures of single images are
    no errors of a command.
    """
    ours = "UsageError NotFound Mismatch StoreError TryAgain BackboneUnavailable RunFailed"
    found = [
        (where, call)
        for where, call in raised()
        if isinstance(call.func, ast.Name) and call.func.id in [*ours.split(), "ThresholdPassed"]
    ]
    assert len(found) > 100
    guess = [
        where
        for where, call in found
        if len(call.args) < 2 or ast.unparse(call.args[1]).startswith("did_you_mean(")
    ]
    assert guess == []
