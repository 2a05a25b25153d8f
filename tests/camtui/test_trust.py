"""Code that may run here: that which was named here, with the source that it had then."""

from __future__ import annotations

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
