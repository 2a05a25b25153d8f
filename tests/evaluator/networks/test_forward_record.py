"""A model looked at before it is cut: what it may answer, what it may not, and which modules it
calls.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from evaluator.errors import UsageError
from evaluator.networks.tracing import logits_of, record_forward
from tests.networks import CLASSES, gap_network, plain


class Output(NamedTuple):
    """As a transformers ``ModelOutput`` has it."""

    loss: None
    logits: Tensor


class Answering(nn.Module):
    """A network whose answer is a function of its logits."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.inner = gap_network()
        self._answer = answer

    def forward(self, images: Tensor) -> Any:
        return self._answer(self.inner(images))


@pytest.mark.parametrize(
    "answer",
    [
        lambda s: s,
        lambda s: (s, None),
        lambda s: [s],
        lambda s: {"logits": s, "aux": s * 2},
        lambda s: {"out": s},
        lambda s: Output(None, s),
        lambda s: s[:, :, None, None],
    ],
)
def test_logits_are_found_in_what_a_network_answers(answer: Any) -> None:
    found = record_forward(Answering(answer).eval(), plain())
    assert torch.equal(found.logits, gap_network()(found.images))
    assert [call.name for call in found.calls][-1] == "inner"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda s: {"a": s, "b": s},
            "answers with 2 tensors, and which are the logits is not said: a (2 × 10), b (2 × 10)",
        ),
        (lambda s: {}, "answers with a dict, a classifier with a tensor"),
        (lambda s: "yes", "answers with a str, a classifier with a tensor"),
        (
            lambda s: s[:, :, None, None].expand(-1, -1, 4, 4),
            "2 images with 2 × 10 × 4 × 4, a classifier with 2 × classes",
        ),
        (lambda s: s.sum(), "answers 2 images with a single number"),
        (lambda s: s[:1], "answers 2 images with 1 × 10"),
    ],
)
def test_what_no_classifier_answers(answer: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        record_forward(Answering(answer).eval(), plain())
    assert message in caught.value.message
    assert "logits" in caught.value.hint or "logit" in caught.value.hint


def test_images_that_it_does_not_take() -> None:
    with pytest.raises(UsageError, match="does not take images of 1 × 32 × 32") as caught:
        record_forward(gap_network(), plain(channels=1))
    assert "channels=1" in caught.value.hint


def test_one_logit_for_each_image() -> None:
    assert record_forward(Answering(lambda s: s[:, 0]).eval(), plain()).logits.shape == (2, 1)


def test_every_call_has_its_shape_and_no_hook_stays() -> None:
    model = gap_network()
    calls = {call.name: call.shape for call in record_forward(model, plain()).calls}
    assert calls["features"] == (2, 12, 8, 8)
    assert calls["fc"] == (2, CLASSES)
    assert not any(module._forward_hooks for module in model.modules())
    assert logits_of(None) is None


SEVERAL = [
    (lambda s: (s[:, :3], s), "1"),
    (lambda s: [s[:, :3], [s[:, :4], s]], "1.1"),
    (lambda s: {"features": s[:, :3], "classes": s}, "classes"),
    (lambda s: (s[:, :, None, None].expand(-1, -1, 4, 4), s), "1"),
]
"""Answers of several tensors, and where their logits are."""


@pytest.mark.parametrize(("answer", "output"), SEVERAL)
def test_one_of_several_outputs_is_named_or_has_as_many_columns_as_class_names(
    answer: Any, output: str
) -> None:
    model = Answering(answer).eval()
    for options in ({"output": output}, {"names": ["a"] * CLASSES}):
        found = record_forward(model, plain(), **options)
        assert torch.equal(found.logits, gap_network()(found.images))
        assert found.output == output
    with pytest.raises(UsageError, match="which are the logits is not said") as caught:
        record_forward(model, plain())
    assert f"{output} (2 × 10)" in caught.value.message
    assert "output=" in caught.value.hint


def test_outputs_that_are_not_there() -> None:
    for answer, hint in ((lambda s: (s, s), "0 (2 × 10), 1 (2 × 10)"), (lambda s: s, "one tensor")):
        with pytest.raises(UsageError, match="no output '7'") as caught:
            record_forward(Answering(answer).eval(), plain(), output="7")
        assert hint in caught.value.hint


def test_two_outputs_with_as_many_columns_as_class_names_are_not_told_apart() -> None:
    with pytest.raises(UsageError, match="which are the logits is not said"):
        record_forward(Answering(lambda s: (s, s * 2)).eval(), plain(), names=["a"] * CLASSES)
