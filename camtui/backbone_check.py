"""A backbone loaded in a process of its own, before a run depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from camtui.child import ChildEnded, ask_once
from camtui.devices import choose_devices
from camtui.trust import remember
from evaluator.backbone_spec import parse_backbone
from evaluator.code_sources import sources_of
from evaluator.errors import RunFailed
from evaluator.plan_validation import validated, validated_plan
from evaluator.references import as_spec, installed
from evaluator.text import printable


def check_network(
    text: str, image: Path | None = None, classes: Path | None = None
) -> dict[str, Any]:
    """Return the facts of a backbone; naming code here allows it to run, from now on.

    Args:
        text: the backbone as it is typed for a run.
        image: whose most confident classes are wanted.
        classes: file of class names.

    Raises:
        CamtuiError: it cannot be loaded, or is no classifier of such images.
    """
    spec = parse_backbone(text)
    values = {**vars(spec), "classes": spec.classes or (str(classes) if classes else None)}
    plan = validated(validated_plan({"data": "/", "backbones": [values], "methods": ["gradcam"]}))
    allowed = _allowed(spec.key)
    remember(allowed)
    asked = {
        "plan": plan.to_dict(),
        "allowed": allowed,
        "device": choose_devices(None, None)[0],
        "image": str(image.expanduser().absolute()) if image else None,
    }
    try:
        return ask_once("evaluator.measuring.network_check", asked)
    except ChildEnded as end:
        raise RunFailed(
            f"{spec.shown_key} ended the process: {printable(end.said, 200)}", "load it in Python"
        ) from None


def _allowed(key: str) -> dict[str, str]:
    found = installed("backbone").get(key) or as_spec(key)
    return {found.reference.text: sources_of(found.reference).sha256} if found else {}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the facts for people, a line each."""
    seen, classes = found["preprocessing"], found["classes"]
    shape = f"{found['channels']} × {found['height']} × {found['width']}"
    tokens = "" if found["tokens"] is None else f", behind {found['tokens']} prefix tokens"
    cut = "its graph" if found["cut"] == "graph" else "hooks: every head costs a forward"
    named = (
        f": {', '.join(classes[:3])} …"
        if classes
        else ", without names: --classes FILE, or as many class folders"
    )
    yield f"network    {found['backbone']}: {found['weights']} (sha256 {found['sha256'][:16]})"
    yield f"layer      {found['layer']}: map {shape}{tokens}, cut by {cut}"
    head = (
        "global average pooling and one linear layer" if found["gap_linear"] else "differentiated"
    )
    yield f"head       {head}"
    yield f"attention  {found['attention'] or 'no'} blocks to look into"
    yield (
        f"images     {seen['side']} × {seen['side']}, "
        f"{'grey' if seen['channels'] == 1 else 'colour'}, short side "
        f"{seen['resize']} ({seen['interpolation']}), mean {_numbers(seen['mean'])}, std "
        f"{_numbers(seen['std'])}"
    )
    yield f"classes    {found['class_count']}{named}"
    yield f"score      {found['score']}"
    yield from (f"remark     {remark}" for remark in found["remarks"])
    yield (
        f"speed      {found['forwards_per_second']:.1f} forwards/s, {found['batch_size']} "
        f"at a time on {found['device']}"
    )
    for place, one in enumerate(found["top"]):
        name = one["name"] or f"class {one['index']}"
        yield f"{'image' if not place else '':<10} {one['score']:.4f}  {name}"


def _numbers(values: list[float]) -> str:
    return "/".join(f"{value:.3g}" for value in values)
