"""From what was typed to what a plan stores: names in place of references, and no code of anybody
who was not asked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from camtui.code_resolver import Resolver, allowed_of, remember
from camtui.planning import PlanOptions, resolve_plan
from evaluator import catalog
from evaluator.errors import CodeNotAllowed, Mismatch, UsageError
from evaluator.plan import RunPlan, cell_identity, extended
from evaluator.records import LoadedBackbone
from evaluator.user_code_facts import Code
from tests.evaluator.test_user_code_checks import METHOD

LOADED = LoadedBackbone("resnet18", "w", "0" * 64, "l", 8, 2, 2, True, ())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a method and a metric in a file."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    mark = f"open({str(tmp_path / 'mark')!r}, 'w')\n"
    (tmp_path / "mine.py").write_text(
        mark + METHOD.replace("from __future__ import annotations\n", "")
    )
    return tmp_path


def plan(*methods: str, stored: RunPlan | None = None, **typed: object) -> RunPlan:
    asked = PlanOptions(data=Path("data"), backbones=["resnet50"], methods=list(methods), **typed)  # type: ignore[arg-type]
    return resolve_plan(asked, stored, cuda=False).plan


def test_references_become_names_and_their_code_stands_in_the_plan(here: Path) -> None:
    made = plan(
        "gradcam,./mine.py:MyCAM,mine.py:MyCAM:beta=2", metrics=("deletion,./mine.py:METRIC",)
    )
    assert made.methods == ("gradcam", "mycam", "mycam:beta=2.0")
    assert made.optional_metrics == ("deletion", "kept")
    assert [(one.axis, one.key, one.reference) for one in made.code] == [
        ("method", "mycam", f"{here}/mine.py:MyCAM"),
        ("metric", "kept", f"{here}/mine.py:METRIC"),
    ]
    assert RunPlan.from_json(made.to_json()) == made
    assert catalog.method("mycam:beta=2").forwards(2048, True) == 2049


def test_the_source_is_part_of_a_cells_identity(here: Path) -> None:
    before = plan("./mine.py:MyCAM", "gradcam")
    with open(here / "mine.py", "a") as stream:
        stream.write("# changed\n")
    now = plan("./mine.py:MyCAM", "gradcam")
    old, new = (
        [cell_identity(made, made.backbones[0], LOADED, method) for method in made.methods]
        for made in (before, now)
    )
    assert old[0] != new[0]
    assert old[1] == new[1]
    with pytest.raises(Mismatch, match=r"source of .*mine\.py:MyCAM: .{12} → .{12}"):
        extended(before, now)


def test_a_run_grows_by_other_options_of_a_method_that_it_has(here: Path) -> None:
    before = plan("./mine.py:MyCAM")
    remember({one.reference: one.sha256 for one in before.code})
    after = extended(before, plan("mycam:beta=3", stored=before))
    assert after.methods == ("mycam", "mycam:beta=3.0")
    assert set(after.code[0].facts["specs"]) == {"mycam", "mycam:beta=3.0"}


def test_a_plan_file_runs_nothing_that_was_not_named_here(here: Path) -> None:
    (here / "plan.toml").write_text(
        'data = "data"\nbackbones = ["resnet50"]\nmethods = ["mine.py:MyCAM"]\n'
    )
    asked = PlanOptions(config=here / "plan.toml")
    with pytest.raises(CodeNotAllowed, match=r"mine\.py:MyCAM"):
        resolve_plan(asked, None, cuda=False)
    assert not (here / "mark").exists()
    assert resolve_plan(
        PlanOptions(config=here / "plan.toml"), None, cuda=False, allow_code=True
    ).plan.methods == ("mycam",)
    assert (here / "mark").exists()


def test_a_stored_run_decides_nothing_about_what_is_typed(here: Path) -> None:
    """``-m mycam`` means the run's method, whose place the run knows; that does not allow it."""
    stored = plan("./mine.py:MyCAM")
    (here / "mark").unlink()
    with pytest.raises(CodeNotAllowed):
        plan("mycam:beta=3", stored=stored)
    assert not (here / "mark").exists()


def test_two_methods_of_one_name_are_refused(here: Path) -> None:
    (here / "other.py").write_text(METHOD)
    with pytest.raises(UsageError, match="are both called mycam"):
        plan("mine.py:MyCAM,other.py:MyCAM")


def test_unknown_names_are_left_to_the_catalog(here: Path) -> None:
    assert Resolver().names("method", ["gradcan", "scorecam:variant"]) == [
        "gradcan",
        "scorecam:variant",
    ]
    with pytest.raises(UsageError, match="unknown method 'gradcan'"):
        plan("gradcan")


def test_maps_that_were_typed_are_a_method_and_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "theirs").mkdir()
    np.save(tmp_path / "theirs" / "a.npy", np.eye(3))
    spec = f"maps:{tmp_path}/theirs"
    with pytest.raises(CodeNotAllowed, match="needs maps that you have not named"):
        Resolver().names("method", [spec])
    resolver = Resolver(typed=frozenset([spec]))
    (key,) = resolver.names("method", [spec])
    assert key.startswith("maps:theirs-")
    code = Code.from_dict(resolver.code()[0])
    with pytest.raises(CodeNotAllowed, match="maps"):
        allowed_of([code], "camtui resume RUN", allow=False)
    assert allowed_of([code], "", allow=False, named=resolver.named) == {spec: code.sha256}
    assert Resolver(stored=(code,)).names("method", [key]) == [key]
    np.save(tmp_path / "theirs" / "b.npy", np.eye(3))
    with pytest.raises(Mismatch, match="has changed"):
        allowed_of([code], "", allow=True)
