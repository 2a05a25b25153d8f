"""A copied text passes tmux."""

from __future__ import annotations

import base64

from camtui.tui.app import sequence


def test_clipboard_passes_tmux_and_refuses_what_is_too_long() -> None:
    plain = sequence("ADCC ↑", inside_tmux=False)
    assert plain is not None
    assert base64.b64decode(plain[len("\x1b]52;c;") : -1]).decode() == "ADCC ↑"
    wrapped = sequence("ADCC ↑", inside_tmux=True)
    assert wrapped is not None
    assert wrapped.startswith("\x1bPtmux;\x1b\x1b]52;")
    assert sequence("x" * 80_000, inside_tmux=False) is None
