"""The decision of a run's rule (``--until``) in words."""

from __future__ import annotations

from camtui.format.numbers import count
from evaluator.records import Look
from evaluator.stopping_rule import BURN_IN
from evaluator.text import counted


def look_text(look: Look, images: int, *, ended: bool = False) -> str:
    """Return whether the rule is met, or about how many images it still takes.

    Args:
        look: as stored.
        images: of the run, the ceiling.
        ended: the run is complete: nothing more is coming.
    """
    if look.decided is not None:
        return f"{look.rule}: met by the first {count(look.decided)} of {counted(images, 'image')}"
    if ended:
        return f"{look.rule}: not met by all {counted(images, 'image')}"
    return f"{look.rule}: {counted(look.images, 'image')} looked at, {more_text(look, images)}"


def more_text(look: Look, images: int) -> str:
    """``about 220 more``."""
    if look.needed is None:
        return f"how many it takes is known after {BURN_IN}, at most {count(images)}"
    if look.needed >= images:
        return f"probably not met by all {count(images)}"
    return f"about {count(max(0, look.needed - look.images))} more"


def short_forecast(look: Look | None, images: int) -> str:
    """For a line with little room: ``~220 more``; empty where nothing is known."""
    if look is None or look.decided is not None or look.needed is None or look.needed >= images:
        return ""
    return f"~{count(max(0, look.needed - look.images))} more"
