"""Saliency maps that were made elsewhere: a folder of files, or one ``.npz``.

A folder has a file for each image, under the image's path: of ``n01/a.jpg`` ``n01/a.jpg.npy`` (or
``.png``), or without the image's own ending ``n01/a.npy``; an ``.npz`` has arrays of these names.
Files are numbers: nothing in them is run, and what lies outside the folder is not read.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from evaluator.crop import pillow
from evaluator.errors import ImageUnreadable, MapUnusable, NotFound, UsageError
from evaluator.methods.base import MOST_SIDE, ImageMethod
from evaluator.references import as_reference
from evaluator.sources import read_image
from evaluator.sources.folder import is_within
from evaluator.text import counted, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from evaluator.methods.base import ImageView

_MOST_BYTES = 8 * MOST_SIDE * MOST_SIDE + 2**16
_ENDINGS = (b".npy", b".png")
_PNG = b"\x89PNG"


def name_of(path: bytes) -> str:
    """The name of an image's map in an ``.npz``: its path, unprintable bytes escaped."""
    return printable(path)


def _names(path: bytes) -> Iterator[bytes]:
    """The image's path, then that without its ending."""
    yield path
    head, dot, tail = path.rpartition(b".")
    if dot and b"/" not in tail:
        yield head


class _Stamp(NamedTuple):
    """What is compared of a file to see that it is the one that was hashed."""

    size: int
    changed: int
    inode: int


def _stamp(status: os.stat_result) -> _Stamp:
    return _Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


class Maps(ABC):
    """The maps of one place.

    Attributes:
        files: what there was when this was made; of a file that has changed nothing is read.
    """

    files: dict[bytes, _Stamp]

    @abstractmethod
    def sha256(self) -> str:
        """Hash of names and content of all of them."""

    @abstractmethod
    def found(self, path: bytes) -> bytes | None:
        """The name under which an image's map stands; ``None`` where there is none."""

    @abstractmethod
    def data(self, path: bytes) -> bytes:
        """The file of an image's map.

        Raises:
            MapUnusable: there is none, or it is not what was hashed.
        """

    def read(self, path: bytes) -> NDArray[np.float32]:
        """The map of an image, ``[h, w]``.

        Raises:
            MapUnusable: there is none, or it is no map.
        """
        return _values(self.data(path))


class _Folder(Maps):
    """A folder of maps; links in it are not followed."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._base = os.path.realpath(os.fsencode(place))
        self.files: dict[bytes, _Stamp] = {}
        for folder, _, names in os.walk(self._base):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(_ENDINGS) and os.path.isfile(path) and not os.path.islink(path):
                    self.files[os.path.relpath(path, self._base)] = _stamp(os.stat(path))
        if not self.files:
            raise UsageError(
                f"no maps in {printable(place)}",
                "they are .npy or .png files under the images' paths: n01/a.jpg.npy",
            )

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for path, stamp in sorted(self.files.items()):
            digest.update(b"%s\0%d\0" % (path, stamp.size))
            try:
                with open(os.path.join(self._base, path), "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise _unreadable(self._place / os.fsdecode(path), error) from error
        return digest.hexdigest()

    def found(self, path: bytes) -> bytes | None:
        names = (name + one for name in _names(os.path.normpath(path)) for one in _ENDINGS)
        return next((name for name in names if name in self.files), None)

    def data(self, path: bytes) -> bytes:
        found = self.found(path)
        if found is None:
            raise MapUnusable("map-missing", f"no map of it in {printable(self._place)}")
        whole = os.path.join(self._base, found)
        try:
            if not is_within(os.path.realpath(whole), self._base):
                raise MapUnusable("map-changed", f"{printable(found)} leads out of its folder")
            if _stamp(os.lstat(whole)) != self.files[found]:
                raise MapUnusable("map-changed", f"{printable(found)} was changed meanwhile")
            return read_image(Path(os.fsdecode(self._base)), found)
        except (OSError, ImageUnreadable) as error:
            raise MapUnusable("map-broken", f"{printable(found)}: {error}") from error


class _Archive(Maps):
    """An ``.npz`` of maps."""

    def __init__(self, place: Path) -> None:
        self._place = place
        if not place.is_file():
            raise NotFound(f"{printable(place)} is no file", "give a folder of maps, or an .npz")
        self.files = {b"": _stamp(place.stat())}
        try:
            self._zip = zipfile.ZipFile(place)
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise UsageError(
                f"{printable(place)} is no .npz: {printable(error)}",
                "np.savez_compressed writes one; a folder of .npy files will do too",
            ) from error
        self._members = {one.filename: one for one in self._zip.infolist()}

    def sha256(self) -> str:
        try:
            with open(self._place, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(self._place, error) from error

    def found(self, path: bytes) -> bytes | None:
        names = (f"{name_of(name)}.npy" for name in _names(path))
        found = next((name for name in names if name in self._members), None)
        return None if found is None else found.encode()

    def data(self, path: bytes) -> bytes:
        name = self.found(path)
        found = name.decode() if name else None
        if found is None:
            raise MapUnusable("map-missing", f"no map of it in {printable(self._place)}")
        if self._members[found].file_size > _MOST_BYTES:
            raise MapUnusable("map-size", f"{printable(found)} is larger than any map")
        try:
            if _stamp(os.stat(self._place)) != self.files[b""]:
                raise MapUnusable("map-changed", f"{printable(self._place)} was changed meanwhile")
            return self._zip.read(self._members[found])
        except (OSError, zipfile.BadZipFile, zlib.error, ValueError, RuntimeError) as error:
            raise MapUnusable("map-broken", f"{printable(found)}: {printable(error)}") from error


def _unreadable(place: Path, error: OSError) -> NotFound:
    return NotFound(f"cannot read {printable(place)}: {error.strerror}", "give a folder or an .npz")


def _values(data: bytes) -> NDArray[np.float32]:
    """The values of a file, ``[h, w]``; a grey PNG's from 0 to 255 or 65535."""
    import numpy as np

    try:
        if data.startswith(_PNG):
            with pillow().open(BytesIO(data), formats=("PNG",)) as image:
                if image.width > MOST_SIDE or image.height > MOST_SIDE:
                    raise MapUnusable("map-size", f"{image.width} x {image.height} pixels")
                if image.mode not in ("1", "L", "I", "I;16"):
                    raise MapUnusable("map-broken", f"a PNG of kind {image.mode}; save it grey")
                found = np.asarray(image)
        else:
            found = np.load(BytesIO(data), allow_pickle=False)
    except MapUnusable:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise MapUnusable("map-broken", printable(error, 200)) from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "buif":
        kind = getattr(found, "dtype", type(found).__name__)
        raise MapUnusable("map-broken", f"it holds {printable(kind, 60)}, which are no numbers")
    while found.ndim > 2 and len(found) == 1:
        found = found[0]
    if found.ndim != 2 or not found.size or max(found.shape) > MOST_SIDE:
        shape = " x ".join(map(str, found.shape)) or "one number"
        raise MapUnusable("map-size", f"it is {shape}, not height x width up to {MOST_SIDE}")
    with np.errstate(over="ignore"):
        values = found.astype(np.float32)
    wrong = int(values.size - np.isfinite(values).sum())
    if wrong:
        raise MapUnusable("map-not-finite", f"{counted(wrong, 'value')} of it are not finite")
    return values


def _opened(place: Path) -> Maps:
    """The maps of a folder or of an ``.npz``.

    Raises:
        NotFound: there is neither. UsageError: there are no maps in it.
    """
    return _Folder(place) if place.is_dir() else _Archive(place)


def check_one_each(
    references: Iterable[str], paths: Sequence[bytes], begun: Mapping[str, int] | None = None
) -> None:
    """Raise if two images would have one map: ``n01/a.jpg`` and ``n01/a.png`` that of ``n01/a``.

    Args:
        references: of a plan's code, which may be read; of them those of maps are looked at.
        paths: of the images.
        begun: reference → how many images, the first ones, a run has with it. What they share
            stays: earlier versions did not refuse it.

    Raises:
        NotFound: a place of maps is gone. UsageError: two images have one map.
    """
    places = ((one, place) for one in references for place in as_reference(one).maps)
    for reference, place in places:
        maps, owners = _opened(place), dict[bytes, int]()
        kept = (begun or {}).get(reference, 0)
        for number, path in enumerate(paths):
            found = maps.found(path)
            other = owners.setdefault(found, number) if found else number
            if found and other != number and number >= kept:
                raise UsageError(
                    f"{printable(paths[other])} and {printable(path)} would both have the map "
                    f"{printable(found)} in {printable(place)}",
                    f"name one for each, by the whole name of its image: {printable(path)}.npy",
                )


_hashed: dict[Path, tuple[Maps, str]] = {}
"""Place → the maps that were hashed, and their hash: asked for several times by one command."""


def sha256_of(places: Sequence[Path]) -> str:
    """Hash of all maps of one or two places.

    Raises:
        NotFound: there is no such folder or file. UsageError: there are no maps in it.
    """
    each = [_hash(place) for place in places]
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def _hash(place: Path) -> str:
    maps = _opened(place)
    if place not in _hashed or _hashed[place][0].files != maps.files:
        _hashed[place] = (maps, maps.sha256())
    return _hashed[place][1]


@dataclass(frozen=True)
class MapsMethod(ImageMethod):
    """Maps that were made elsewhere, as a method.

    A map covers the network's input, the resized and cropped square, whatever its own size.
    """

    title = "Maps"
    paper = "made elsewhere"
    weighs_by = "is read from files"
    beyond_paper = True
    stores: ClassVar[tuple[Maps, ...]] = ()

    def explain(self, view: ImageView) -> Tensor:
        """The stored maps of the images, ``[B, h, w]``.

        Raises:
            MapUnusable: one has none; or they differ in size, and are to be asked for one by one.
        """
        import numpy as np

        found = [self.stores[one.explanation].read(one.path) for one in view.shown]
        if len({one.shape for one in found}) > 1:
            raise MapUnusable("map-size", "maps of different sizes cannot be measured at once")
        return view.images.new_tensor(np.stack(found))

    def cost(self) -> int:
        """None: it is there."""
        return 0


def method_of(places: tuple[Path, ...]) -> type[MapsMethod]:
    """The method that shows the maps of a place; a part of their hash is in its name.

    Args:
        places: of the maps, and perhaps of those of the explanation images.

    Raises:
        NotFound: there is no such folder or file. UsageError: there are no maps in it.
    """
    sha256 = sha256_of(places)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", places[0].stem)[:40].strip("_") or "maps"
    key = f"maps:{stem}-{sha256[:8]}"
    explains = "explanations" if len(places) > 1 else "images"
    values = {
        "key": key,
        "title": key,
        "explains": explains,
        "stores": tuple(_hashed[place][0] for place in places),
    }
    return dataclass(frozen=True)(type("MapsMethod", (MapsMethod,), values))
