"""The running sums and histograms of cells, written with a checksum over those of each cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from evaluator.errors import StoreError
from evaluator.records import Measurement, Row
from evaluator.store.checksums import WRONG_KIND, histograms_checksum, sums_checksum
from evaluator.store.schema import HISTOGRAM_BINS, SUMS_SEALED_SINCE
from evaluator.store.sums import ArccSources, bins_by_metric, sums_by_key, sums_of
from evaluator.store.writable import WritableFile
from evaluator.text import printable


@dataclass
class _CellSums:
    """Sums and histograms of one cell.

    Attributes:
        sums: (a, b) → n and total.
        bins: metric → images in each bin.
        intact: they fitted their checksum when they were read.
    """

    sums: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    bins: dict[str, list[int]] = field(default_factory=dict)
    intact: bool = True

    def checksums(self) -> tuple[bytes, bytes]:
        """Of the sums, and of the histograms."""
        return sums_checksum(self.sums), histograms_checksum(self.bins)


class RunningSums:
    """Adds rows to the sums of their cells.

    A cell is read once, and what its sums are is known from then on: nobody else writes. Sums that
    did not fit their checksum go on, but never get one that fits: ``doctor`` finds them.
    """

    def __init__(self, file: WritableFile) -> None:
        self._file = file
        self._cells: dict[int, _CellSums] = {}

    def add(
        self,
        rows: Iterable[Row],
        measurements: Iterable[Measurement],
        arcc: Iterable[ArccSources] = (),
    ) -> None:
        """Add what is being stored, in the same transaction."""
        sums, bins = sums_of(rows, measurements, arcc)
        for cell in {key[0] for key in sums} - self._cells.keys():
            self._cells[cell] = self._read(cell)
        for (cell, a, b), (n, total) in sums.items():
            before = self._cells[cell].sums.get((a, b), (0, 0))
            self._cells[cell].sums[a, b] = (before[0] + n, before[1] + total)
        for (cell, metric, place), n in bins.items():
            self._cells[cell].bins.setdefault(metric, [0] * HISTOGRAM_BINS)[place] += n
        self._file.executemany(
            "INSERT INTO sums (cell_id, a, b, n, total) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = excluded.n, total = excluded.total",
            [(cell, a, b, *self._cells[cell].sums[a, b]) for cell, a, b in sums],
        )
        self._file.executemany(
            "INSERT INTO histograms (cell_id, metric, bin, n) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET n = excluded.n",
            [(*key, self._cells[key[0]].bins[key[1]][key[2]]) for key in bins],
        )
        self._seal({key[0] for key in sums})

    def rebuild(
        self,
        rows: Iterable[Row],
        measurements: Iterable[Measurement],
        arcc: Iterable[ArccSources] = (),
    ) -> None:
        """Replace all running sums and histograms by those of every row and measurement."""
        with self._file.transaction():
            for table in ("sums", "histograms", "sum_checksums"):
                self._file.execute(f"DELETE FROM {table}")
            self.forget()
            self.add(rows, measurements, arcc)

    def seal_all(self) -> None:
        """Give every cell's sums a checksum as they are, in the caller's transaction."""
        cells = [cell for (cell,) in self._file.execute("SELECT DISTINCT cell_id FROM sums")]
        for cell in cells:
            self._cells[cell] = self._read(cell)
        self._seal(cells)

    def unseal(self, cells: Iterable[int]) -> None:
        """Give cells checksums that no sums fit, until a rebuild; in the caller's transaction."""
        self._file.executemany(
            "INSERT INTO sum_checksums (cell_id, sums, histograms)"
            " SELECT id, x'', x'' FROM cells WHERE id = ?"
            " ON CONFLICT DO UPDATE SET sums = excluded.sums, histograms = excluded.histograms",
            [(cell,) for cell in cells],
        )
        self.forget()

    def forget(self) -> None:
        """Read the cells anew: what was added to them has not been stored."""
        self._cells.clear()

    def _read(self, cell: int) -> _CellSums:
        execute = self._file.execute
        sums = execute("SELECT a, b, n, total FROM sums WHERE cell_id = ?", (cell,))
        bins = execute("SELECT metric, bin, n FROM histograms WHERE cell_id = ?", (cell,))
        try:
            found = _CellSums(sums_by_key(sums), bins_by_metric(bins))
        except LookupError as error:
            raise self._damaged() from error
        stored = execute(
            "SELECT sums, histograms FROM sum_checksums WHERE cell_id = ?", (cell,)
        ).fetchone()
        if stored is not None:
            found.intact = stored == self._checksums(found)
        elif found.sums:
            found.intact = execute("SELECT born FROM run").fetchone()[0] < SUMS_SEALED_SINCE
        return found

    def _checksums(self, found: _CellSums) -> tuple[bytes, bytes]:
        try:
            return found.checksums()
        except WRONG_KIND as error:
            raise self._damaged() from error

    def _damaged(self) -> StoreError:
        path = printable(self._file.path)
        return StoreError(
            f"{path}: running sums are not what was written",
            f"rebuild them from the rows: camtui doctor {path} --repair",
        )

    def _seal(self, cells: Iterable[int]) -> None:
        self._file.executemany(
            "INSERT INTO sum_checksums (cell_id, sums, histograms) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET sums = excluded.sums, histograms = excluded.histograms",
            [(cell, *self._cells[cell].checksums()) for cell in cells if self._cells[cell].intact],
        )
