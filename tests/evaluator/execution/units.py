"""Two units to take apart: rows of two methods on five images, and their curves."""

from __future__ import annotations

from dataclasses import replace

from evaluator.records import ImageRef, StoredMap, Unit

IMAGES = tuple(ImageRef(n, b"%d.jpg" % n, 1, None) for n in range(5))
ROWS = Unit(1, 1, 0, (10, 11), ("a", "b"), IMAGES)
CURVES = replace(
    ROWS,
    metrics=("deletion", "insertion"),
    maps={(c, i.id): StoredMap(0, 0.5, 0.5, None) for c in (10, 11) for i in IMAGES},
)
