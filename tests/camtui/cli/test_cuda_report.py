"""``camtui doctor`` on a CUDA machine: with the pretended GPU, and with a CUDA that fails, which is
this machine's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from camtui.cli.commands import doctor as module
from camtui.cli.commands.doctor import cuda_report, doctor
from tests.evaluator.execution.support import ROOT

PRETENDED = "tests.evaluator.pretended_check"


@pytest.fixture(autouse=True)
def _children_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(module, "choose_devices", lambda device, workers: ("cuda:0", "cuda:1"))


@pytest.mark.long
def test_a_gpu_that_computes_the_cpus_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODULE", PRETENDED)
    report = cuda_report(1)
    assert report.problems == []
    assert report.facts["precision"] == "mixed unless --precision says otherwise; TF32 off"
    assert report.facts["workers"].startswith("2, each with 1 computing and ")
    assert report.facts["cuda"].startswith("torch is built for CUDA")
    assert report.facts["cuda:0"].startswith("Pretend GPU, 86 GB: the CPU's rows to within ")


ANSWERS = """
import json, sys
facts = (
    '{"cuda_build": "13.0", "driver": "580.65.06", "driver_cuda": "13.0", '
    '"devices": ["a"], "error": "", "tf32": true}'
)
check = '{"name": "A", "memory": 80e9, "mig": true, "error": "its rows differ"}'
print(check if "device" in json.load(sys.stdin) else facts)
"""


def test_what_is_wrong_is_said_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "answers.py").write_text(ANSWERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "MODULE", "answers")
    report = cuda_report(2)
    assert report.problems == [
        "float32 would be computed in TF32",
        "the system has 2 GPUs, torch sees 1",
        "cuda:0: its rows differ",
    ]
    assert report.facts["driver"] == "580.65.06, for CUDA up to 13.0"
    assert report.facts["cuda:0"] == "A, 80 GB, a MIG slice: its rows differ"


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA does not fail here")
def test_a_cuda_that_fails_says_why_and_doctor_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("camtui.compute.count_gpus", lambda: 1)
    with pytest.raises(typer.Exit) as ended:
        doctor(None, json=True)
    assert ended.value.exit_code == 1
    told = capsys.readouterr()
    (problem,) = [line for line in told.err.splitlines() if line.startswith("wrong: CUDA ")]
    build = torch.version.cuda or "(torch is built without it)"
    assert problem.startswith(f"wrong: CUDA {build} does not start: RuntimeError: ")
    assert json.loads(told.out)["cuda"].endswith(problem.split(": ", 2)[2])


def test_a_check_that_dies_or_hangs_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dies.py").write_text("import sys; sys.exit('segmentation fault')")
    (tmp_path / "hangs.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.setattr(module, "MODULE", "dies")
    assert cuda_report(1).problems == ["CUDA does not start: segmentation fault"]
    monkeypatch.setattr(module, "MODULE", "hangs")
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    assert cuda_report(1).facts["cuda"] == "does not start: no answer within 0 s"


def test_the_report_needs_no_torch() -> None:
    code = "import sys, camtui.cli.commands.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
