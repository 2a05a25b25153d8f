"""Queries about order: the worst and the best images of a cell, page by page, the rank of one."""

from __future__ import annotations

from typing import Any, NamedTuple

from evaluator.catalog import ROW_METRICS, value_range
from evaluator.errors import UsageError
from evaluator.store import schema
from evaluator.store.checks import Checks
from evaluator.store.queries import Averages
from evaluator.store.readonly import ReadOnlyFile
from evaluator.text import printable


class RankedImage(NamedTuple):
    """One place in a list of worst or best images: the key to the next page."""

    image: int
    value: float


class Ranking:
    """The order of a cell's images; histograms keep a query from sorting them all."""

    def __init__(self, file: ReadOnlyFile, averages: Averages, checks: Checks) -> None:
        self._file = file
        self._averages = averages
        self._checks = checks

    def page(
        self,
        cell: int,
        metric: str,
        *,
        ascending: bool,
        limit: int,
        after: RankedImage | None = None,
    ) -> list[RankedImage]:
        """A page of the images of a cell by one metric; ties by image.

        ADCC has an index. The others scan the cell, for with an index on each a commit of 180 rows
        would write 2.8 MB in place of 0.8 MB; the histogram tells beforehand which bins the page
        must lie in, so that next to nothing is sorted.

        Args:
            after: the last entry of the page before; the next page continues behind it, by key, not
                by offset.

        Raises:
            StoreError: a row of the page is not what was written.
            UsageError: no image has such a metric.
        """
        table, column, where = self._metric_source(metric)
        order, beyond = ("ASC", ">") if ascending else ("DESC", "<")
        condition = f" AND ({column}, image_id) {beyond} (?, ?)" if after else ""
        values: list[Any] = [cell, *([metric] if where else [])]
        values += [after.value, after.image] if after else []

        def part(which: str, *edge: float) -> list[RankedImage]:
            rows = self._file.all(
                f"SELECT image_id, {column} FROM {table} WHERE cell_id = ?{where}{condition} "
                f"AND {column} {which}"
                f" ORDER BY {column} {order}, image_id {order} LIMIT ?",
                [*values, *edge, limit],
            )
            return [RankedImage(*row) for row in rows]

        edge = None if metric == "adcc" else self._bin_edge(cell, metric, ascending, limit, after)
        if edge is not None:
            found = part("< ?" if ascending else ">= ?", edge)
            if len(found) == limit:  # else the histogram is not that of the rows: ``camtui doctor``
                return self._verified(cell, metric, found)
        return self._verified(cell, metric, part("NOTNULL"))

    def _verified(self, cell: int, metric: str, found: list[RankedImage]) -> list[RankedImage]:
        optional = "" if metric in ROW_METRICS else metric
        self._checks.verify_images(cell, optional, [place.image for place in found])
        return found

    def _bin_edge(
        self, cell: int, metric: str, ascending: bool, limit: int, after: RankedImage | None
    ) -> float | None:
        """The edge of the bins that hold the next ``limit`` images for certain.

        ``None`` where there are not so many.
        """
        bins = self._averages.unverified_histogram(cell, metric)
        order = range(len(bins)) if ascending else range(len(bins) - 1, -1, -1)
        scale = value_range(metric)
        begun = schema.histogram_bin(after.value, *scale) if after else None
        known = 0
        for place in order:
            if begun is None or (place > begun if ascending else place < begun):
                known += bins[place]
            if known >= limit:
                return schema.least_of_bin(place + 1 if ascending else place, *scale)
        return None

    def rank_of(
        self, cell: int, metric: str, image: int, *, ascending: bool
    ) -> tuple[int, int] | None:
        """``(place from 1, images ranked)`` of an image, ``None`` where it has no value."""
        table, column, where = self._metric_source(metric)
        key: list[Any] = [cell, *([metric] if where else [])]
        scope = f"FROM {table} WHERE cell_id = ?{where} AND {column} NOTNULL"
        value = self._file.stream(
            f"SELECT {column} {scope} AND image_id = ?", [*key, image]
        ).fetchone()
        if value is None:
            return None
        beyond = "<" if ascending else ">"
        before, total = self._file.one(
            f"SELECT count(*) FILTER (WHERE ({column}, image_id) {beyond} (?, ?)), count(*) "
            f"{scope}",
            [value[0], image, *key],
        )
        return before + 1, total

    def _metric_source(self, metric: str) -> tuple[str, str, str]:
        if metric in ROW_METRICS:
            return "results", metric, ""
        if not self._file.stream(
            "SELECT 1 FROM measurements WHERE metric = ? LIMIT 1", (metric,)
        ).fetchone():
            raise UsageError(
                f"the run has no metric '{printable(metric)}'",
                "camtui table RUN shows those it has",
            )
        return "measurements", "value", " AND metric = ?"
