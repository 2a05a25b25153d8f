"""Verdicts on the rules that a method or a metric must keep."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """One rule.

    Attributes:
        rule: which; ``passed``: ``None`` where it does not apply; ``found``: in a few words, with
            the number.
    """

    rule: str
    passed: bool | None
    found: str


def equal(rule: str, found: Tensor, expected: Tensor, tolerance: float, name: str) -> Verdict:
    """Whether two tensors are at most ``tolerance`` apart."""
    if found.shape != expected.shape:
        return Verdict(rule, False, f"{list(found.shape)} against {list(expected.shape)} ({name})")
    apart = float((found.double() - expected.double()).abs().max()) if found.numel() else 0.0
    return Verdict(
        rule, apart <= tolerance, f"at most {apart:.2g} apart, {tolerance:g} allowed ({name})"
    )
