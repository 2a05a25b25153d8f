"""table, export, compare, show, errors and worst as they are typed: data on standard output, the rest on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from camtui.cli.app import app
from evaluator.plan import RunPlan
from evaluator.store.reader import RunReader
from tests.synthetic import make_run

METHODS = ("fakecam", "cam", "gradcam", "gradcampp")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, the second worse."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    make_run(tmp_path / "runs" / "good.db", methods=METHODS)
    make_run(tmp_path / "runs" / "worse.db", methods=METHODS, shift=0.05)
    return tmp_path


def camtui_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def validated(name: str, result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    schema = json.loads(resources.files("camtui").joinpath(f"export/schemas/{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["table", "goodd"], 4, "did you mean 'good'?"),
        (["table", "good", "--pivot", "adc"], 2, "unknown metric 'adc'"),
        (["table", "good", "--sort", "adc"], 2, "did you mean 'adcc'?"),
        (["table", "good", "--pivot", "adcc", "--long"], 2, "two layouts"),
        (["table", "good", "--filter", "vgg19"], 4, "no cell matches"),
        (["table", "good", "--filter", "adcc>x"], 2, "no number"),
        (["table", "good", "-f", "xml"], 2, "unknown format"),
        (["export", "good", "-o", "a.xyz"], 2, "no format known"),
        (["export", "good", "-f", "md", "--per-image"], 2, "no per-image form"),
        (["compare", "good"], 2, "two runs"),
        (["compare", "good", "worse", "--paper"], 2, "--paper takes one run"),
        (["compare", "good", "worse", "--metric", "adc"], 2, "unknown metric"),
        (["compare", "good", "nothing"], 4, "no run 'nothing'"),
        (["worst", "good", "--cell", "vgg16/camm"], 4, "did you mean 'vgg16/cam'?"),
        (["worst", "good", "--cell", "vgg16"], 2, "cells match"),
        (["worst", "good", "--cell", "vgg16/cam"], 4, "has no adcc yet"),
        (["worst", "good", "--by", "beauty"], 2, "unknown metric"),
    ],
)
def test_errors_are_a_line_a_hint_and_a_code(arguments: list[str], code: int, message: str) -> None:
    result = camtui_(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "hint:" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_table_is_plain_data_on_standard_output() -> None:
    result = camtui_("table", "good")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert "fakecam" in result.stdout
    assert camtui_("table", "good", "-f", "plain").stdout.split() == result.stdout.split()


def test_table_of_the_last_run_by_default() -> None:
    assert camtui_("table").stdout.split()[0] == "worse"


@pytest.mark.parametrize("form", ["plain", "md", "json", "csv", "tsv", "latex"])
def test_table_and_export_are_the_same_code(form: str) -> None:
    table, export = camtui_("table", "good", "-f", form), camtui_("export", "good", "-f", form)
    assert table.exit_code == export.exit_code == 0
    assert table.stdout_bytes == export.stdout_bytes
    assert len(table.stdout_bytes) > 400


def test_table_options_reach_the_table() -> None:
    assert "image ADCC↑" in camtui_("table", "good", "--long").stdout
    assert "ADCC ↑" in camtui_("table", "good", "--pivot", "adcc").stdout
    assert camtui_("table", "good", "--ci").stdout.count("±") > camtui_("table", "good").stdout.count("±")
    assert "99.998007" in camtui_("table", "good", "--digits", "6", "--filter", "fakecam").stdout
    assert "gradcampp" not in camtui_("table", "good", "--filter", "method=gradcam").stdout


def test_export_writes_a_file_once(tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    result = camtui_("export", "good", "--per-image", "-o", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"wrote {target}" in result.stderr
    lines = target.read_text().splitlines()
    assert len(lines) == 7 * 39
    again = camtui_("export", "good", "--per-image", "-o", str(target))
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert camtui_("export", "worse", "--per-image", "-o", str(target), "--force").exit_code == 0
    assert target.read_text().splitlines() != lines


def test_summary_json_of_export() -> None:
    assert len(validated("summary", camtui_("export", "good", "-f", "json"))["cells"]) == 8


def test_compare_runs() -> None:
    result = camtui_("compare", "good", "worse")
    assert result.exit_code == 0
    assert "good → worse" in result.stdout
    assert result.stdout.count("  worse") >= 4
    document = validated("compare", camtui_("compare", "good", "worse", "--json", "--metric", "adcc,average_drop"))
    cells = document["comparisons"][0]["cells"]
    assert {cell["metric"] for cell in cells} == {"adcc", "average_drop"}
    assert {cell["verdict"] for cell in cells if "grad" in cell["method"]} == {"worse"}


def test_fail_on_drop_ends_with_5_after_the_table() -> None:
    failed = camtui_("compare", "good", "worse", "--fail-on-drop", "0.5")
    assert failed.exit_code == 5
    assert "good → worse" in failed.stdout
    assert "more than 0.5" in failed.stderr
    assert camtui_("compare", "good", "worse", "--fail-on-drop", "50").exit_code == 0
    assert camtui_("compare", "worse", "good", "--fail-on-drop", "0").exit_code == 0
    as_json = camtui_("compare", "good", "worse", "--fail-on-drop", "0.5", "--json")
    assert as_json.exit_code == 5
    assert json.loads(as_json.stdout)["comparisons"]


def test_compare_refuses_another_protocol_and_says_which(home: Path) -> None:
    make_run(home / "runs" / "wide.db", methods=METHODS, plan={"resize": 256})
    result = camtui_("compare", "good", "wide")
    assert result.exit_code == 4
    assert "resize: 224 → 256" in result.stderr
    assert "paired by force: resize" in camtui_("compare", "good", "wide", "--force").stdout


def test_compare_with_the_paper(home: Path) -> None:
    text = camtui_("compare", "good", "--paper").stdout
    assert "this run is not the paper's protocol" in text
    assert "40 images; the paper averages the 50,000" in text
    cells = validated("compare-paper", camtui_("compare", "good", "--paper", "--json"))["cells"]
    mine = next(cell for cell in cells if (cell["backbone"], cell["method"], cell["metric"]) == ("vgg16", "gradcam", "adcc"))
    assert mine["paper"] == pytest.approx(0.5352)
    assert mine["difference"] == pytest.approx(mine["ours"]["mean"] - 0.5352)
    make_run(home / "runs" / "lite.db", backbones=["efficientnet_lite0"], methods=["gradcam"])
    refused = camtui_("compare", "lite", "--paper")
    assert refused.exit_code == 4
    assert "vgg16" in refused.stderr


def test_show_says_what_the_run_is() -> None:
    text = camtui_("show", "good").stdout
    for part in ("good · 40 images · complete", "IMAGENET1K_V1", "target predicted", "torch", "vgg16 curves"):
        assert part in text
    assert "torch" in camtui_("show", "good", "--env").stdout
    assert "protocol" not in camtui_("show", "good", "--env").stdout
    assert "forwards" in camtui_("show", "good", "--timings").stdout
    assert validated("show", camtui_("show", "good", "--json"))["run"]["plan"]["resize"] == 224


def test_the_printed_plan_is_the_plan(home: Path) -> None:
    path = make_run(
        home / "runs" / "other.db", backbones=["vgg16:layer=features.29"], methods=METHODS, plan={"limit": 40, "resize": 256}
    )
    text = camtui_("show", "other", "--config").stdout
    reader = RunReader(path)
    assert RunPlan.from_dict(tomllib.loads(text)) == reader.plan()
    assert reader.plan().limit == 40


def test_errors_by_reason_and_image() -> None:
    text = camtui_("errors", "good").stdout
    assert text.splitlines()[0] == "truncated 1"
    assert "(7 cells)" in text
    document = validated("errors", camtui_("errors", "good", "--json"))
    assert document["total"] == 1
    assert len(document["errors"][0]["cells"]) == 7


def test_a_run_without_errors_says_so(home: Path) -> None:
    make_run(home / "runs" / "clean.db", methods=METHODS, failures=False)
    result = camtui_("errors", "clean")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no failures" in result.stderr


def test_a_list_that_is_cut_says_so(home: Path) -> None:
    from evaluator.records import Failure, UnitResult
    from evaluator.store.writer import RunWriter

    writer = RunWriter(make_run(home / "runs" / "bad.db", methods=["cam"], backbones=["resnet18"], partial={"resnet18/cam": 1}))
    writer.commit(UnitResult(failures=tuple(Failure(1, image, "", "missing", "no such file") for image in range(1, 31))))
    writer.close()
    result = camtui_("errors", "bad", "-n", "10")
    assert len(result.stdout.splitlines()) == 11
    assert "10 of 30 shown" in result.stderr
    assert validated("errors", camtui_("errors", "bad", "-n", "10", "--json"))["truncated"]


def test_worst_and_best_images() -> None:
    worst = validated("worst", camtui_("worst", "good", "--cell", "vgg16/gradcam", "-n", "5", "--json"))
    values = [image["adcc"] for image in worst["images"]]
    assert values == sorted(values)
    best = validated("worst", camtui_("worst", "good", "--cell", "vgg16/gradcam", "-n", "5", "--best", "--json"))
    assert [image["adcc"] for image in best["images"]] == sorted((i["adcc"] for i in best["images"]), reverse=True)
    assert best["images"][0]["adcc"] > values[-1]
    drop = validated("worst", camtui_("worst", "good", "--by", "average_drop", "--cell", "vgg16/gradcam", "-n", "3", "--json"))
    assert drop["images"][0]["average_drop"] == max(image["average_drop"] for image in drop["images"])
    assert drop["images"][0]["predicted_name"].startswith("class ")


def test_worst_without_a_cell_takes_the_leading_one() -> None:
    result = camtui_("worst", "good", "-n", "3")
    assert "resnet18/gradcampp" in result.stdout
    assert len([line for line in result.stdout.splitlines() if ".png" in line]) == 3


def environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "CAMTUI_HOME": str(home), **more}


def test_the_console_script_and_a_closed_pipe(home: Path) -> None:
    command = f"{sys.executable} -c 'from camtui.cli import main; main()' export good --per-image | head -1"
    result = subprocess.run(["sh", "-c", command], env=environment(home), capture_output=True, text=True, check=True)
    assert result.stdout.startswith("backbone,method,image")
    assert result.stderr == ""


def test_table_wakes_neither_torch_nor_numpy(home: Path) -> None:
    code = "import sys\nfrom camtui.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "table", "good"]
    result = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=True)
    loaded = set(result.stderr.split())
    assert "camtui.format" in loaded
    assert not loaded & {"torch", "numpy", "textual", "PIL", "sqlite_utils"}
