"""Opening, resizing and cropping an image: the one rule, for networks and dashboard.

Pillow only, imported when the first image is opened: the dashboard draws the same pixels that were
evaluated, without torch.
"""

from __future__ import annotations

import re
import struct
import warnings
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from evaluator.errors import ImageUnreadable
from evaluator.sources import read_image
from evaluator.text import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from evaluator.records import Preprocessing

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


_STRAY = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_LOOKAHEAD = 12
"""Bytes that a decoder may have taken in beyond those that it needed."""


def stray_bytes(data: bytes, warning: str) -> int:
    """Bytes before the end marker of a JPEG all of whose pixels are there; 0 where they are not.

    A decoder that has lost its place in the picture's data has some left over too, and warns in the
    same words. An encoder ends its data by filling the last byte with ones: the bits of it that
    change no pixel when they are flipped have to be ones. Where these are fewer than four, the
    bytes behind them must also be such as no picture's data has.

    Args:
        data: a whole file.
        warning: of ``warning_of``.
    """
    matched = _STRAY.match(warning)
    if matched is None:
        return 0
    count = int(matched[1])
    end = data.rfind(b"\xff\xd9") - count
    place, unused = _last_bits(data[:end])
    filled = unused >= 0 and data[place] & (1 << unused) - 1 == (1 << unused) - 1
    return count if filled and (unused >= 4 or _is_no_picture(data[place + 1 : end + count])) else 0


def _last_bits(data: bytes) -> tuple[int, int]:
    """Where the last byte stands that some pixel depends on, and how many of its bits none does.

    Returns:
        ``(0, -1)`` where it is not found.
    """
    whole = _pixels(data)
    for place in range(len(data) - 1, max(len(data) - 1 - _LOOKAHEAD, 0), -1):
        if data[place - 1 : place + 1] == b"\xff\x00":
            continue  # the zero says that the byte before it is no marker
        for bit in range(8):
            flipped = data[place] ^ 1 << bit
            tail = data[place + 1 + (data[place] == 0xFF) :]
            changed = data[:place] + (b"\xff\x00" if flipped == 0xFF else bytes([flipped])) + tail
            if _pixels(changed) != whole:
                return place, bit
    return 0, -1


def _pixels(data: bytes) -> bytes:
    from simplejpeg import decode_jpeg

    try:
        made = decode_jpeg(data + b"\xff\xd9", "RGB", fastdct=True, fastupsample=True)
    except ValueError:
        return b""
    return bytes(made.tobytes())


def _is_no_picture(data: bytes) -> bool:
    """Whether bytes are too uniform for a picture's data, or have what it cannot have."""
    return len(set(data)) < len(data) / 4 or bool(re.search(rb"\xff[^\x00]", data))


_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 89_478_485
"""Pillow's own limit, above which it suspects a file that unpacks to more than memory: 268 MB as
RGB.
"""


class Opened(NamedTuple):
    """An image as the network sees it, and the sha256 of the bytes that it was decoded from.

    Attributes:
        image: for another number of channels than 1 and 3 ``[side, side, channels]``, float32 from
            0 to 255.
        note: what is odd about its file and harmless; empty where nothing is.
    """

    image: Image | NDArray[np.float32]
    content: bytes
    note: str = ""


def open_square(
    root: Path,
    path: bytes,
    wanted: Preprocessing,
    expected_size: int | None = None,
    expected_content: bytes | None = None,
) -> Image:
    """The image of ``open_hashed`` alone, as it is drawn: of an array its first three channels."""
    from PIL.Image import Image, fromarray

    found = open_hashed(root, path, wanted, expected_size, expected_content).image
    if isinstance(found, Image):
        return found
    shown = found[:, :, :3] if found.shape[2] > 2 else found[:, :, 0]
    return fromarray(shown.round().astype("uint8"))


def open_hashed(
    root: Path,
    path: bytes,
    wanted: Preprocessing,
    expected_size: int | None = None,
    expected_content: bytes | None = None,
) -> Opened:
    """The central square of an image, its short side resized; RGB, or grey for one channel.

    With antialias, as torchvision's ``Resize`` and ``CenterCrop`` do on a PIL image. EXIF
    orientation is not applied, an animation shows its first frame, transparency is dropped, grey of
    more than 8 bits is read by its range. So are arrays: ``.npy`` files of ``[height, width]``,
    ``[height, width, channels]`` or ``[channels, height, width]``, and TIFFs of many bands. The
    file is read once, and decoded from memory: what is hashed is what is decoded, also of a file
    that is being written meanwhile.

    Args:
        root: the data folder; the file must be a regular file under it, after following links.
        path: bytes relative to it.
        wanted: sizes in pixels, interpolation and channels, which an array must have.
        expected_size: bytes the manifest recorded; another size means another file.
        expected_content: sha256 of the file that earlier rows were made from; without one, a JPEG
            of whose data libjpeg warns and a PNG whose checksums are wrong are refused too.

    Raises:
        ImageUnreadable: with a reason word and a line for people.
    """
    data = read_image(root, path, expected_size)
    content = sha256(data).digest()
    if expected_content is not None and content != expected_content:
        raise ImageUnreadable(
            "changed", "its bytes are not those that the run's rows were made from"
        )
    image = _decoded(data, wanted)
    return Opened(image, content, _doubt(data) if expected_content is None else "")


def _doubt(data: bytes) -> str:
    """What is odd and harmless about a file that Pillow decodes; asked once for each content.

    Raises:
        ImageUnreadable: it is damaged.
    """
    damage = ""
    if data.startswith(b"\xff\xd8"):
        if warning := warning_of(data):
            if count := stray_bytes(data, warning):
                return f"{count} stray bytes before its end marker; its pixels are whole"
            damage = f"libjpeg warns: {warning}"
    elif data.startswith(_PNG):
        damage = _wrong_chunk(data)
    if damage:
        raise ImageUnreadable("damaged", damage)
    return ""


def _wrong_chunk(data: bytes) -> str:
    """The first chunk of a PNG's picture that its own checksum does not fit."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if kind[:1].isupper() and data[end : end + 4] != struct.pack(
            ">I", crc32(data[place + 4 : end])
        ):
            return f"its chunk {printable(kind)} does not fit its checksum"
        place = end + 4
    return ""


_NPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0")
"""Begins of files; the last one with addresses of 64 bits."""

_OTHER_TIFF = "; if it is a TIFF of many bands, it is for a network of as many channels"


def _decoded(data: bytes, wanted: Preprocessing) -> Image | NDArray[np.float32]:
    images = pillow()
    try:
        if data.startswith(_NPY):
            return _square_of_array(_array(data), wanted)
        if data.startswith(_TIFF) and wanted.channels not in (1, 3):
            return _square_of_array(_bands(data), wanted)
        with images.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ImageUnreadable(
                    "too-large", f"{image.width} x {image.height} pixels, at most {_MOST_PIXELS}"
                )
            if wanted.channels in (1, 3):
                return centre_square(_in_channels(image, wanted.channels), wanted)
            import numpy as np

            return _square_of_array(np.asarray(image), wanted)
    except (images.DecompressionBombError, images.DecompressionBombWarning) as error:
        raise ImageUnreadable("too-large", f"more than {_MOST_PIXELS} pixels") from error
    except images.UnidentifiedImageError as error:
        other = _OTHER_TIFF if data.startswith(_TIFF) else ""
        raise ImageUnreadable("not-an-image", f"no image format recognised{other}") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        LookupError,
        TypeError,
        struct.error,
    ) as error:  # what Pillow's decoders raise on damaged files
        raise ImageUnreadable("truncated", printable(error, 200)) from error


def _array(data: bytes) -> NDArray[Any]:
    """The array of a ``.npy`` file, without pickled objects."""
    import numpy as np

    try:
        found: NDArray[Any] = np.load(BytesIO(data), allow_pickle=False)
    except MemoryError as error:  # a header that tells of more than there is
        raise ValueError("its header tells of more values than memory holds") from error
    return found


def _square_of_array(array: NDArray[Any], wanted: Preprocessing) -> Image | NDArray[np.float32]:
    """The central square of an array, resized channel by channel.

    Raises:
        ImageUnreadable: it has not the channels that are wanted; or values that are none of bright
            and dark.
    """
    import numpy as np
    from PIL.Image import fromarray

    channels = wanted.channels
    fitting = (1, 3) if channels in (1, 3) else (channels,)
    values = array[:, :, None] if array.ndim == 2 else array
    if values.ndim == 3 and values.shape[2] not in fitting and values.shape[0] in fitting:
        values = np.moveaxis(values, 0, 2)
    if values.ndim != 3 or values.shape[2] not in fitting or not values.size:
        found = " x ".join(map(str, array.shape)) or "one number"
        raise ImageUnreadable(
            "unsupported", f"its array is {found}, and the network takes {channels} channels"
        )
    if values.shape[0] * values.shape[1] > _MOST_PIXELS:
        raise ImageUnreadable("too-large", f"{values[..., 0].size} pixels, at most {_MOST_PIXELS}")
    if channels in (1, 3):
        grey = values.shape[2] == 1
        shades = values if values.dtype == np.uint8 else _shades(values).round().astype(np.uint8)
        picture = fromarray(np.ascontiguousarray(shades[:, :, 0] if grey else shades))
        return centre_square(_in_channels(picture, channels), wanted)
    scaled = _shades(values)
    each = [centre_square(fromarray(scaled[:, :, one].copy()), wanted) for one in range(channels)]
    return np.stack([np.asarray(one) for one in each], 2)


def _shades(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values of an array from 0 to 255, by their range, as ``_grey`` has it; dark ones too.

    Raises:
        ImageUnreadable: see there.
    """
    import numpy as np

    if values.dtype.kind not in "buif":  # a complex number, a date
        raise ImageUnreadable("unsupported", f"its array holds {values.dtype}, which are no values")
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        most = 1 if high <= 1 else 255
    elif values.dtype.itemsize == 1:
        most = 1 if values.dtype == bool else 255
    else:
        most = 2**16 - 1 if values.dtype.itemsize == 2 or high > 255 else 255
    if not 0 <= low <= high <= most:  # nor where one of them is no number
        raise ImageUnreadable(
            "value-range",
            f"its values go from {low:g} to {high:g}; save it with values from 0 to 1",
        )
    return values.astype(np.float32) * np.float32(255 / most)


def _bands(data: bytes) -> NDArray[Any]:
    """The channels of a TIFF, ``[height, width, channels]``: its bands, or its pages of one band.

    Pillow knows at most four bands: it is shown their bytes as one grey image, and unpacks them.
    """
    import numpy as np
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    stream, pages = BytesIO(data), list[dict[int, Any]]()
    directory = ImageFileDirectory_v2(stream.read(16 if data[:4] in _TIFF[2:] else 8))
    while directory.next and len(pages) < _MOST_PAGES:
        stream.seek(directory.next)
        directory.load(stream)
        pages.append(
            {tag: value for tag, value in directory.items() if isinstance(value, int | tuple)}
        )
    first, count = pages[0], pages[0].get(_SAMPLES, 1)
    if count == 1:
        return np.concatenate([_interleaved(data, page) for page in pages], 2)
    if first.get(_PLANAR, 1) == 1:
        return _interleaved(data, first)
    each = [
        {
            tag: values[at * len(values) // count : (at + 1) * len(values) // count]
            if tag in _PLACES
            else values
            for tag, values in {**first, _SAMPLES: 1}.items()
        }
        for at in range(count)
    ]
    return np.concatenate([_interleaved(data, one) for one in each], 2)


_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ROWS, _PREDICTOR = 256, 257, 258, 259, 278, 317
_SAMPLES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _FORMAT = 277, 284, 322, 323, 339
_PLACES = (273, 279, 324, 325)
_MOST_PAGES = 16
_LOSSLESS = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions that give back the bytes as they were: none, LZW, Deflate, PackBits, LZMA, Zstd."""


def _interleaved(data: bytes, tags: dict[int, Any]) -> NDArray[Any]:
    """The bands of a directory of a TIFF that lie beside each other, ``[height, width, bands]``."""
    import numpy as np

    kinds, bits = tags.get(_FORMAT, 1), tags.get(_BITS, 1)
    kinds, bits = ({one} if isinstance(one, int) else set(one) for one in (kinds, bits))
    bits, kind = max(bits), {1: "u", 2: "i", 3: "f"}.get(max(kinds), "")
    predictor, compression = tags.get(_PREDICTOR, 1), tags.get(_COMPRESSION, 1)
    if bits % 8 or not kind or predictor not in (1, 2, 3) or compression not in _LOSSLESS:
        raise ImageUnreadable("unsupported", "its bands are packed as no program here unpacks them")
    order, size, count = "<" if data[:2] == b"II" else ">", bits // 8, tags.get(_SAMPLES, 1)
    width, height = tags[_WIDTH], tags[_HEIGHT]
    shown = {tag: tags[tag] for tag in (_TILE_HEIGHT, _ROWS, *_PLACES) if tag in tags} | {
        _WIDTH: width * count * size, _HEIGHT: height, _BITS: 8, _COMPRESSION: compression,
        _PHOTOMETRIC: 1, _SAMPLES: 1,
    }  # fmt: skip
    step = tags.get(_TILE_WIDTH, width)
    if step != width or _TILE_WIDTH in tags:
        shown[_TILE_WIDTH] = step * count * size
    rows = _unpacked(data, order, shown)
    found = []
    for at in range(0, width, step):
        part = rows[:, at * count * size : (at + step) * count * size]
        across = part.shape[1] // (count * size)
        if predictor == 3:  # differences of bytes, the highest of all values first
            sums = part.reshape(height, -1, count).cumsum(1, dtype=np.uint8)
            part = sums.reshape(height, size, -1).transpose(0, 2, 1)
        values = np.ascontiguousarray(part).view(f"{'>' if predictor == 3 else order}u{size}")
        values = values.reshape(height, across, count)
        values = values.cumsum(1, dtype=values.dtype) if predictor == 2 else values
        found.append(values.view(values.dtype.str.replace("u", kind)))
    return np.concatenate(found, 1)


def _unpacked(data: bytes, order: str, tags: dict[int, Any]) -> NDArray[np.uint8]:
    """The bytes of an image of a TIFF, ``[height, width]``, by a directory behind its data."""
    import numpy as np

    def packed(kind: str, *values: int) -> bytes:
        return struct.pack(f"{order}{len(values)}{kind}", *values)

    place = len(data) + len(data) % 2
    lists, entries = b"", b""
    for tag, value in sorted(tags.items()):
        values = (value,) if isinstance(value, int) else value
        text = packed("I", *values)
        if len(values) > 1:
            lists, text = lists + text, packed("I", place + len(lists))
        entries += packed("H", tag, 4) + packed("I", len(values)) + text
    directory = packed("H", len(tags)) + entries + bytes(4)
    header = (b"II*\0" if order == "<" else b"MM\0*") + packed("I", place + len(lists))
    whole = header + data[8:].ljust(place - 8, b"\0") + lists + directory
    with pillow().open(BytesIO(whole), formats=["TIFF"]) as image:
        return np.asarray(image)


@cache
def pillow() -> ModuleType:
    """``PIL.Image`` without its warnings of large images, odd EXIF and truncated TIFF tags.

    Once for the process: filters of warnings belong to all threads, and loaders that change them
    and put them back, each in its own time, leave a filter behind that nobody set.
    """
    from PIL import Image

    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    return Image


def _in_channels(image: Image, channels: int) -> Image:
    """Of one channel the luma of ITU-R 601, as torchvision's ``Grayscale`` has it."""
    colour = _as_rgb(image)
    return colour.convert("L") if channels == 1 else colour


def _as_rgb(image: Image) -> Image:
    """The image in eight bits and three channels.

    Raises:
        ImageUnreadable: its values are none that can be told to be dark or bright.
    """
    raw = _raw_mode(image)
    if image.mode == "F" or image.mode.startswith("I"):
        image = _grey(image, raw)
    if image.mode == "LAB":
        raise ImageUnreadable("unsupported", "its colours are CIE Lab; save it as RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    colour = image if image.mode == "RGB" else image.convert("RGB")
    if ";16" in raw and raw.startswith(("RGB", "LA")):
        _refuse_dark(colour)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        _refuse_stencil(colour, image)
    return colour


def _raw_mode(image: Image) -> str:
    """How the file has its values, as Pillow says before it decodes them: ``RGB;16B``."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments or "")


_DARK = 16
"""An image all of whose shades, of 256, are below this one is nearly black: where no range is
given, its values were for another than they are read by.
"""

_SAVE = "save it with 8 bits a channel"


def _grey(image: Image, raw: str) -> Image:
    """Grey of more than eight bits, by its range.

    Integers of 16 (or 12) bits by that many bits: the upper eight of them. Others have no range of
    their own: they are taken as fractions of 1, or as shades from 0 to 255, or as 16 bits, whatever
    is the first that holds them all.

    Raises:
        ImageUnreadable: values below zero, beyond these ranges or not finite, and such as would
            leave the image nearly black.
    """
    import numpy as np
    from PIL.Image import fromarray

    values = np.asarray(image)
    low, high = values.min(), values.max()
    deep = image.mode.startswith("I;") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if image.mode == "F":
        most = 1 if high <= 1 else 255
    elif raw == "I;12":
        most = 2**12 - 1
    else:
        most = 2**16 - 1 if deep or high > 255 else 255
    found = f"its values go from {low:g} to {high:g}"
    if not 0 <= low <= high <= most:  # nor where one of them is no number
        raise ImageUnreadable("value-range", f"{found}; {_SAVE}, or with values from 0 to 1")
    if 0 < high / most < _DARK / 256:
        raise ImageUnreadable(
            "value-range", f"{found}, nearly black where {most} is white; {_SAVE}"
        )
    if image.mode == "F":
        grey = np.rint(values * np.float32(255 / most)).astype(np.uint8)
    else:
        grey = (values >> (most.bit_length() - 8)).astype(np.uint8)
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    return fromarray(grey)


_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
"""TIFF's tag of what the values mean; Pillow heeds it for eight bits alone."""


def _refuse_dark(colour: Image) -> None:
    """Refuse colours of 16 bits whose values fill less than a sixteenth of their range.

    Raises:
        ImageUnreadable: they do; as they are, the image would be black.
    """
    import numpy as np

    high = int(np.asarray(colour).max())
    if high < _DARK:
        raise ImageUnreadable(
            "value-range",
            f"its values of 16 bits are below {(high + 1) * 256}, which is nearly black; {_SAVE}",
        )


def _refuse_stencil(colour: Image, image: Image) -> None:
    """Refuse an image of one colour whose picture is its transparency.

    Raises:
        ImageUnreadable: without transparency, which is dropped, nothing is left of it.
    """
    if all(low == high for low, high in (band.getextrema() for band in colour.split())):
        alpha = image.getchannel(image.getbands()[-1]).getextrema()
        if alpha[0] != alpha[1]:
            raise ImageUnreadable(
                "unsupported",
                "it is of one colour, and its picture is its transparency; save it without",
            )


class Placement(NamedTuple):
    """The place of the square in a resized image: the image's size, the square's left and top."""

    size: tuple[int, int]
    left: int
    top: int


def placement(width: int, height: int, wanted: Preprocessing) -> Placement:
    """The place of the central square after the short side has become ``wanted.resize`` pixels.

    Raises:
        ImageUnreadable: a strip so thin that its enlargement would not fit in memory.
    """
    resize, side = wanted.resize, wanted.side
    if width <= height:
        size = (resize, max(resize, int(resize * height / width)))
    else:
        size = (max(resize, int(resize * width / height)), resize)
    if size[0] * size[1] > _MOST_PIXELS:
        raise ImageUnreadable(
            "too-large", f"{width} x {height} pixels would become {size[0]} x {size[1]}"
        )
    return Placement(size, round((size[0] - side) / 2.0), round((size[1] - side) / 2.0))


def centre_square(image: Image, wanted: Preprocessing) -> Image:
    """Resize the short side to ``wanted.resize``, antialiased, and crop the central square.

    Raises:
        ImageUnreadable: a strip so thin that its enlargement would not fit in memory.
    """
    from PIL.Image import Resampling

    size, left, top = placement(*image.size, wanted)
    resized = image.resize(size, Resampling[wanted.interpolation.upper()])
    return resized.crop((left, top, left + wanted.side, top + wanted.side))


def crop_mask(mask: NDArray[np.bool_], wanted: Preprocessing) -> NDArray[np.bool_]:
    """The pixels of ``[height, width]`` that the square keeps, ``[side, side]``: nearest ones."""
    import numpy as np
    from PIL import Image

    size, left, top = placement(mask.shape[1], mask.shape[0], wanted)
    resized = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
    return np.asarray(resized.crop((left, top, left + wanted.side, top + wanted.side))) > 0


def size_of(root: Path, path: bytes, expected_size: int | None = None) -> tuple[int, int]:
    """Width and height of an image's file, from its header.

    Raises:
        ImageUnreadable: there is no such image.
    """
    images = pillow()
    data = read_image(root, path, expected_size)
    try:
        if data.startswith(_NPY):
            shape = _array(data).shape
            height, width = shape[-2:] if shape[-1] > _MOST_PAGES else shape[:2]
            return width, height
        with images.open(BytesIO(data), formats=_FORMATS) as image:
            return image.width, image.height
    except images.UnidentifiedImageError as error:
        if data.startswith(_TIFF):
            height, width, _ = _bands(data).shape
            return width, height
        raise ImageUnreadable("not-an-image", printable(error, 200)) from error
    except (images.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise ImageUnreadable("not-an-image", printable(error, 200)) from error
