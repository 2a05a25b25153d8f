from __future__ import annotations

from pathlib import Path

import pytest

from tests.camtui.cli.support import typed


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_command_writes_images_masks_and_plan_and_says_what_to_type_next(
    tmp_path: Path,
) -> None:
    done = typed("synth", str(tmp_path / "shapes"), "--images", "6", "--seed", "2")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    found = files(tmp_path / "shapes")
    assert len(found) == 13
    assert {name.split("/")[0] for name in found} == {"images", "masks", "plan.json"}
    assert "wrote 6 images" in done.stderr
    assert (
        f"camtui run --data {tmp_path}/shapes/images --truth {tmp_path}/shapes/masks" in done.stderr
    )
    assert typed("synth", str(tmp_path / "again"), "-n", "6", "--seed", "2").exit_code == 0
    assert files(tmp_path / "again") == found
    fewer = typed("synth", str(tmp_path / "again"), "-n", "4", "--seed", "2")
    assert "6 images are there, and a run measures them all; -n 4 measures fewer" in fewer.stderr
    assert files(tmp_path / "again") == found


def test_the_world_of_marks_is_judged_by_its_evidence(tmp_path: Path) -> None:
    done = typed("synth", str(tmp_path / "marks"), "-n", "4", "--world", "marks")
    assert done.exit_code == 0, done.stderr
    folders = {name.split("/")[0] for name in files(tmp_path / "marks")}
    assert folders == {"images", "masks", "evidence", "plan.json"}
    assert f"--truth {tmp_path}/marks/evidence -b synthetic_cnn_marks " in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--world", "mark"], 2, "unknown world 'mark'"),
        (["--world", "marks"], 4, "world shapes, asked for marks"),
        (["--images", "0"], 2, "images"),
        (["--seed", "-1"], 2, "seed"),
        (["--side", "8"], 2, "side"),
        (["--seed", "9"], 4, "seed 0, asked for 9"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    typed("synth", str(tmp_path), "-n", "2")
    done = typed("synth", str(tmp_path), "-n", "2", *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
