"""Text to the clipboard of the terminal, however far away it is (OSC 52)."""

from __future__ import annotations

import base64

MAX_BYTES = 74_000
"""What common terminals take; beyond it they drop the sequence without a word."""


def sequence(text: str, *, inside_tmux: bool) -> str | None:
    """The escape sequence that carries the text; ``None`` where it is too long.

    Tmux must be told to let it pass.
    """
    carried = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(carried) > MAX_BYTES:
        return None
    plain = f"\x1b]52;c;{carried}\a"
    return f"\x1bPtmux;\x1b{plain}\x1b\\" if inside_tmux else plain
