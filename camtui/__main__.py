"""``python -m camtui`` is ``camtui``."""

from camtui.cli import main

main()
