"""Tab, as bash, zsh and fish ask for it: the protocol behind ``camtui --install-completion``."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from camtui.cli import main
from camtui.completion import methods
from evaluator.methods import all_methods
from tests.camtui.cli.support import typed
from tests.synthetic import make_run

PROGRAM = "import sys; sys.argv[0] = 'camtui'; from camtui.cli import main; main()"


Offered = Callable[..., list[str]]


@pytest.fixture
def offered(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Offered:
    """The answer to bash when Tab is pressed behind the last word."""

    def ask_for(*words: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["camtui"])
        monkeypatch.setenv("_CAMTUI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["camtui", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit):
            main()
        gc.enable()  # as a command would have done
        monkeypatch.delenv("_CAMTUI_COMPLETE")
        printed = capsys.readouterr()
        assert not printed.err
        return printed.out.split()

    return ask_for


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("wor", "worst"),
        ("run -m gradc", "gradcam gradcampp"),
        ("run -m gradcam,sc", "gradcam,scorecam"),
        ("run -m gradcam,gradcam", "gradcam,gradcampp"),
        ("run -b vgg16", "vgg16 vgg16_bn"),
        ("bench -b resnet50,resnext50", "resnet50,resnext50_32x4d"),
        ("run --metric ins", "insertion"),
        ("worst --by com", "complexity"),
        ("table --sort ad", "adcc"),
        ("table --pivot cohe", "coherency"),
        ("compare --metric adcc,al", "adcc,all"),
    ],
)
def test_names_that_begin_so(offered: Offered, words: str, names: str) -> None:
    assert offered(*words.split()) == names.split()


def test_every_method_is_offered_and_its_variants_behind_a_colon(offered: Offered) -> None:
    assert offered("run", "-m", "''") == list(all_methods())
    assert methods("cam,scorecam:variant=s") == ["cam,scorecam:variant=softmax-logit"]


def test_runs_are_offered_wherever_one_is_meant(home: Path, offered: Offered) -> None:
    make_run(home / "runs" / "pictures.db", images=4)
    commands = "status table watch stop rm doctor compare export image report"
    for command in commands.split():
        assert offered(command, "pic") == ["pictures"], command
    assert offered("compare", "pictures", "pic") == ["pictures"]
    assert offered("table", "@") == ["@last"]


def test_a_home_that_cannot_be_made_offers_nothing(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTUI_HOME", "/proc/nowhere")
    assert offered("status", "p") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(home: Path, shell: str) -> None:
    environment = os.environ | {"_CAMTUI_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"complete_{shell}" in done.stdout
    assert "--install-completion" in typed("--help").stdout


def test_tab_imports_nothing_heavy(home: Path) -> None:
    heavy = ("torch", "numpy", "textual", "sqlite_utils", "PIL")
    asked = {
        "_CAMTUI_COMPLETE": "complete_bash",
        "COMP_WORDS": "camtui run -m g",
        "COMP_CWORD": "3",
    }
    told = f"print([m for m in {heavy!r} if m in sys.modules])"
    code = f"{PROGRAM.replace('main()', '')}\ntry:\n    main()\nexcept SystemExit:\n    {told}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
