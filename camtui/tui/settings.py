"""The choices of the command line for the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Images = Literal["half", "kitty", "sixel", "off"]


@dataclass(frozen=True)
class Settings:
    """The behaviour of the dashboard.

    Attributes:
        interval: seconds between two polls of the file.
        cell: ``BACKBONE/METHOD`` to open at once.
        image: its number or a part of its path, to open at once.
        readonly: no key stops, resumes or writes anything.
        images: how pictures are drawn.
    """

    interval: float = 1.0
    cell: str = ""
    image: str = ""
    readonly: bool = False
    ascii: bool = False
    low_bandwidth: bool = False
    images: Images = "half"


DEFAULTS = Settings()
