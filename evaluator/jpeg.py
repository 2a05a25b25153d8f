"""Warnings of libjpeg about a JPEG that it decodes all the same: "Corrupt JPEG data: …".

Pillow decodes such files and keeps libjpeg's warnings to itself; simplejpeg tells them.
"""

from __future__ import annotations

from evaluator.text import printable

_WARNINGS = (
    "Corrupt JPEG data",
    "Premature end",
    "Inconsistent progression",
    "Invalid SOS parameters",
    "Unknown Adobe color",
)
"""The beginning of libjpeg's warnings; other refusals are about kinds of JPEG that simplejpeg does
not know and Pillow does.
"""


def warning_of(data: bytes) -> str:
    """The warning with which libjpeg decodes a file, empty where it has none.

    The image is decoded at an eighth of its size in grey: the whole of its data is read, few pixels
    are made (0.8 ms an image).

    Args:
        data: a whole file, which Pillow has decoded without an error.
    """
    from simplejpeg import decode_jpeg

    try:
        decode_jpeg(data, "GRAY", min_factor=8, fastdct=True, fastupsample=True, strict=True)
    except ValueError as error:
        text = printable(error, 120)
        return text if text.startswith(_WARNINGS) else ""
    return ""
