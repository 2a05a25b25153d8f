"""Maps of one network and method as an ``.npz``: arrays under the images' paths."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, BinaryIO

from camtui.format.cells import shown_metrics
from camtui.format.table import TableOptions, chosen_views
from evaluator import catalog
from evaluator.errors import NotFound, UsageError
from evaluator.map_files import name_of
from evaluator.methods.base import FixedMap
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from evaluator.records import Cell
    from evaluator.store.reader import RunReader


def cell_of(reader: RunReader, options: TableOptions) -> Cell:
    """Return the one network and method whose maps are meant.

    Raises:
        UsageError: there are several, or its map is one for all images.
        NotFound: the filter leaves nothing.
    """
    views = chosen_views(reader, shown_metrics(reader), options)
    names = [f"{view.cell.backbone}/{view.cell.method}" for view in views]
    if len(views) != 1:
        raise UsageError(
            f"--maps writes those of one network and method, and there are {len(views)}",
            f"--filter '{printable(names[0])}'",
        )
    cell = views[0].cell
    if isinstance(catalog.method(cell.method), FixedMap):
        raise UsageError(f"{names[0]} has one map for all images", "choose another method")
    return cell


def write_maps(reader: RunReader, cell: Cell, stream: BinaryIO) -> str:
    """Write every stored map, ``[h, w]`` float32 in [0, 1]; returns what was written, in words.

    ``numpy.load`` reads the file, and so does ``-m maps:FILE``.

    Raises:
        NotFound: there is none. StoreError: a row is not what was written.
    """
    import numpy as np

    from camtui.pictures import saliency

    loaded, made_by = reader.backbones()[cell.backbone], type(catalog.method(cell.method))
    reader.checks.verify([cell.id], "")
    count = 0
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for row, image, _ in reader.rows.of_cell(cell.id):
            if row.map is not None:
                with archive.open(f"{name_of(image.path)}.npy", "w") as member:
                    values = saliency(row.map, loaded, made_by)
                    np.lib.format.write_array(member, values, allow_pickle=False)
                count += 1
    if not count:
        raise NotFound(f"{cell.backbone}/{cell.method} has no maps yet", "camtui status RUN")
    return counted(count, "map")
