"""Code that may run here: that which was named here, with the source that it had then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from camtui.code_resolver import allowed_before, allowed_of, remember, trust_file
from evaluator.errors import CodeNotAllowed, Mismatch, NotFound
from evaluator.references import as_reference
from evaluator.user_code import sources_of
from evaluator.user_code_facts import Code


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    """A method in a file, as a run describes it."""
    monkeypatch.setenv("CAMTUI_HOME", str(tmp_path / "home"))
    file = tmp_path / "mycam.py"
    file.write_text("raise SystemExit('imported')\n")
    reference = f"{file}:MyCAM"
    return Code("method", "mycam", reference, sources_of(as_reference(reference)).sha256)


def test_what_was_not_named_is_refused_with_the_words_to_allow_it(code: Code) -> None:
    with pytest.raises(CodeNotAllowed, match=r"mycam\.py:MyCAM") as caught:
        allowed_of([code], "camtui resume val", allow=False)
    assert caught.value.hint == "read it, then camtui resume val --allow-code"
    assert not allowed_before()


@pytest.mark.parametrize("how", ["allow", "named"])
def test_what_was_named_once_may_run_from_then_on(code: Code, how: str) -> None:
    named = [code.reference] if how == "named" else []
    assert allowed_of([code], "", allow=how == "allow", named=named) == {
        code.reference: code.sha256
    }
    assert allowed_of([code], "", allow=False) == {code.reference: code.sha256}
    assert trust_file().stat().st_mode & 0o777 == 0o600


def test_another_source_of_that_name_is_no_longer_what_was_allowed(code: Code) -> None:
    allowed_of([code], "", allow=True)
    file = Path(code.reference.removesuffix(":MyCAM"))
    file.write_text("raise SystemExit('worse')\n")
    for allow in (False, True):
        with pytest.raises(Mismatch, match=rf"has changed: sha256 {code.sha256[:12]} → "):
            allowed_of([code], "", allow=allow)
    changed = Code(
        "method", "mycam", code.reference, sources_of(as_reference(code.reference)).sha256
    )
    with pytest.raises(CodeNotAllowed):
        allowed_of([changed], "", allow=False)
    file.unlink()
    with pytest.raises(NotFound):
        allowed_of([code], "", allow=True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"allowed": 3}', '{"allowed": ["ab", 1]}', "\xff"]
)
def test_a_file_that_cannot_be_read_allows_nothing(code: Code, text: str) -> None:
    trust_file().write_bytes(text.encode("latin-1"))
    with pytest.raises(CodeNotAllowed):
        allowed_of([code], "", allow=False)
    remember({code.reference: code.sha256})
    assert allowed_before() == {(code.reference, code.sha256)}


def _linked(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _piped(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda file: file.chmod(0o666), "json may be written by others", id="others"),
        pytest.param(lambda file: file.chmod(0o620), "json may be written by others", id="group"),
        pytest.param(
            lambda file: file.parent.chmod(0o777), "home may be written by others", id="folder"
        ),
        pytest.param(
            lambda file: file.parent.chmod(0o1777), "home may be written by others", id="sticky"
        ),
        pytest.param(_linked, "json is not a regular file", id="link"),
        pytest.param(_piped, "json is not a regular file", id="fifo"),
        pytest.param(
            lambda file: os.chown(file, 4711, -1),
            "json belongs to another user",
            id="owner",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away"),
        ),
        pytest.param(
            lambda file: os.chown(file.parent, 4711, -1),
            "home belongs to another user",
            id="folder's owner",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away"),
        ),
    ],
)
def test_a_file_that_somebody_else_may_have_written_allows_nothing(
    code: Code, change: Callable[[Path], None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed_of([code], "", allow=True)
    monkeypatch.setattr("evaluator.sources.folder._is_private", lambda gid: False)
    change(trust_file())
    with pytest.raises(CodeNotAllowed, match=f"is not believed: .*{why}"):
        allowed_of([code], "camtui resume val", allow=False)
    allowed = allowed_of([code], "", allow=True)  # asking each time goes on working
    assert allowed == {code.reference: code.sha256}


def test_the_users_own_group_may_write_the_file_and_its_folder(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed_of([code], "", allow=True)
    monkeypatch.setattr("evaluator.sources.folder._is_private", lambda gid: True)
    trust_file().chmod(0o660)
    trust_file().parent.chmod(0o775)
    assert allowed_of([code], "", allow=False)
