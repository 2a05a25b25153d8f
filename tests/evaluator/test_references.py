"""What is typed as a reference, and what installed packages register, read without importing
anything.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evaluator.errors import UsageError
from evaluator.references import as_reference, as_spec, installed


@pytest.mark.parametrize(
    ("text", "source", "name", "tail"),
    [
        ("./mycam.py:MyCAM", "/here/mycam.py", "MyCAM", ""),
        ("mycam.py:MyCAM:beta=0.5,gamma=2", "/here/mycam.py", "MyCAM", "beta=0.5,gamma=2"),
        (
            "./net.py:build:layer=features,weights=random:0",
            "/here/net.py",
            "build",
            "layer=features,weights=random:0",
        ),
        ("../a b/größe.py:Kärtchen", "/a b/größe.py", "Kärtchen", ""),
        ("/data/odd:name.py:Outer.Inner", "/data/odd:name.py", "Outer.Inner", ""),
        ("~/mycam.py:MyCAM", "/me/mycam.py", "MyCAM", ""),
        ("mypackage.cams:MyCAM:beta=1", "mypackage.cams", "MyCAM", "beta=1"),
        ("json:MyCAM:a=1", "json", "MyCAM", "a=1"),
    ],
)
def test_references(
    text: str, source: str, name: str, tail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/me")
    spec = as_spec(text, Path("/here"))
    assert spec is not None
    assert (spec.reference.source, spec.reference.name, spec.tail) == (source, name, tail)


@pytest.mark.parametrize(
    "text",
    [
        "gradcam",
        "vgg16:layer=features.29",
        "scorecam:variant=cic,n=2",
        "timm/resnet50.a1_in1k",
        "x.py",
        "x.py:1",
        "scorecam:variant",
    ],
)
def test_plain_names(text: str) -> None:
    assert as_spec(text) is None


def test_what_is_stored_reads_back() -> None:
    spec = as_spec("./a b.py:MyCAM:beta=1", Path("/data"))
    assert spec is not None
    assert as_reference(spec.reference.text) == spec.reference
    assert spec.reference.short == "a b.py:MyCAM"
    with pytest.raises(UsageError, match="names no code"):
        as_reference("gradcam")


def test_installed_packages_are_listed_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud.py").write_text("raise SystemExit('imported')")
    for name, version in (("zeta", "2"), ("loud-package", "1.2")):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        (folder / "entry_points.txt").write_text("[camtui.methods]\nloudcam = loud:LoudCAM\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = installed("method")["loudcam"]
    assert (found.reference.text, found.package) == ("loud:LoudCAM", "loud-package 1.2")
    assert "loudcam" not in installed("metric")
    assert "loud" not in sys.modules


def test_a_program_of_torch_export_is_its_whole_file(tmp_path: Path) -> None:
    spec = as_spec("a, b.pt2:layer=layer3", tmp_path)
    assert spec is not None
    assert (spec.reference.text, spec.reference.short, spec.tail) == (
        str(tmp_path / "a, b.pt2"),
        "a, b.pt2",
        "layer=layer3",
    )
    assert spec.reference.file == tmp_path / "a, b.pt2"
    assert as_reference(spec.reference.text) == spec.reference
