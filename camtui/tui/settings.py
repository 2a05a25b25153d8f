"""What the command line chose for the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Images = Literal["half", "kitty", "sixel", "off"]


@dataclass(frozen=True)
class Settings:
    """How the dashboard is to behave.

    Attributes:
        interval: seconds between two looks at the file.
        cell: ``BACKBONE/METHOD`` to open at once; ``image``: its number or a part of its path.
        readonly: no key stops, resumes or writes anything.
    """

    interval: float = 1.0
    cell: str = ""
    image: str = ""
    readonly: bool = False
    ascii: bool = False
    low_bandwidth: bool = False
    images: Images = "half"


DEFAULTS = Settings()
