"""Text for the clipboard of the terminal, however far away that is (OSC 52)."""

from __future__ import annotations

import base64

MAX_BYTES = 74_000
"""The most that common terminals take; beyond it they drop the sequence without a word."""


def sequence(text: str, *, inside_tmux: bool) -> str | None:
    """Return the escape sequence that carries a text; ``None`` where it is too long.

    Args:
        inside_tmux: whether tmux must be told to let it pass.
    """
    carried = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(carried) > MAX_BYTES:
        return None
    plain = f"\x1b]52;c;{carried}\a"
    return f"\x1bPtmux;\x1b{plain}\x1b\\" if inside_tmux else plain
