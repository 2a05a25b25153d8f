"""The rule for which actions do something now, for the footer, the palette and the keys."""

from __future__ import annotations

from camtui.feed import Snapshot

_RUN_ACTIONS = ("stop", "resume", "retry", "export")
_VIEWS = ("copy_view", "copy_cell", "freeze", "open_screen", "open_log")

CONDITIONAL_ACTIONS = (*_RUN_ACTIONS, *_VIEWS, "quit")
"""The actions that do not always mean something."""


def unavailable_reason(action: str, latest: Snapshot | None, *, readonly: bool = False) -> str:
    """Say why an action of the dashboard does nothing now; empty where it does something.

    Args:
        action: as Textual names it, ``open_screen('grid')``.
        latest: the latest snapshot, displayed or not, ``None`` where no run is open.
        readonly: whether ``--readonly`` was given.
    """
    name = action.partition("(")[0]
    if name in (*_RUN_ACTIONS, *_VIEWS) and latest is None:
        return "no run is open"
    if name in _RUN_ACTIONS and readonly:
        return "not in a dashboard that was opened with --readonly"
    live = latest is not None and latest.status.live
    complete = latest is not None and latest.status.state == "complete"
    if name == "stop" and not live:
        return "nothing to stop: the run is not under way"
    if name == "resume" and complete:
        return "nothing to resume: the run is complete"
    if name in ("resume", "retry") and live:
        return f"nothing to {name}: the run is under way"
    if name == "retry" and not (latest and latest.failures):
        return "nothing to retry: no image failed"
    return "q detaches: the run goes on" if name == "quit" and live else ""
