"""A worker's error, told by the driver as its own."""

from __future__ import annotations

import pytest

from evaluator.errors import BackboneUnavailable, CamtuiError, RunFailed, UsageError
from evaluator.execution.loop import _unavailable
from evaluator.interfaces import Error


@pytest.mark.parametrize(
    ("kind", "code", "hint", "expected"),
    [
        ("usage", 2, "choose another layer", UsageError),
        (BackboneUnavailable.kind, 1, "fetch it elsewhere", BackboneUnavailable),
        ("error", 1, "", RunFailed),
    ],
)
def test_a_backbone_that_cannot_be_loaded_keeps_its_words_and_its_exit_code(
    kind: str, code: int, hint: str, expected: type[CamtuiError]
) -> None:
    error = _unavailable(Error(1, 7, kind, "no such layer", hint, code, True, False))
    assert type(error) is expected
    assert (error.message, error.exit_code) == ("no such layer", expected.exit_code)
    assert error.hint == (hint or "list the backbones and their weights: camtui backbones")
