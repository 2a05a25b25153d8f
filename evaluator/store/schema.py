"""The tables of a run, and how older files become newer ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from math import inf, isfinite, nextafter
from typing import Any

from evaluator.records import Measurement, Row

APPLICATION_ID = 0x43414D54
"""``CAMT``: what tells our files from any other SQLite database."""

SCHEMA_VERSION = 5
"""``PRAGMA user_version``: how many of the migrations a file has seen."""

SUMS_SEALED_SINCE = 3
"""A run begun by this version or a later one has a checksum over the sums of every cell."""

NAMED_ANEW_SINCE = 4
"""A file of an earlier version has other names for some methods (``plan.todays_names``), and a run
begun by one keeps what the words of its plan meant (``plan.in_todays_words``).
"""

VERSION_1 = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    plan TEXT NOT NULL,               -- JSON, evaluator.plan.RunPlan
    manifest_sha256 TEXT NOT NULL,    -- of every path and size of the data set, whatever the limit
    image_count INTEGER NOT NULL,
    state TEXT NOT NULL,              -- records.RunState
    message TEXT NOT NULL DEFAULT '', -- why, when the state alone does not say
    created REAL NOT NULL, started REAL, finished REAL, heartbeat REAL,  -- seconds since 1970
    pid INTEGER, host TEXT NOT NULL DEFAULT '',
    versions TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE backbones (
    id INTEGER PRIMARY KEY,           -- position in the plan
    name TEXT NOT NULL UNIQUE,
    loaded TEXT                       -- JSON, records.LoadedBackbone; NULL until it has been loaded
) STRICT;

CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    method TEXT NOT NULL,             -- spec: key and options that differ from the defaults
    identity TEXT,                    -- plan.cell_identity, known once the backbone is loaded
    applicable INTEGER NOT NULL DEFAULT 1,
    note TEXT NOT NULL DEFAULT '',
    UNIQUE (backbone_id, method)
) STRICT;

CREATE TABLE images (
    id INTEGER PRIMARY KEY,           -- rank in the seeded shuffle, from 0
    path BLOB NOT NULL UNIQUE,        -- bytes, relative to the data root
    size INTEGER NOT NULL,
    label INTEGER                     -- class index, NULL where unknown
) STRICT;

CREATE TABLE results (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    target INTEGER NOT NULL, predicted INTEGER NOT NULL,
    y REAL NOT NULL, o REAL NOT NULL,
    average_drop REAL, average_increase REAL NOT NULL,
    coherency REAL NOT NULL, complexity REAL NOT NULL, adcc REAL,
    degenerate INTEGER NOT NULL,
    map BLOB,                         -- float32 little-endian, h × w; NULL for a fixed map
    PRIMARY KEY (cell_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX results_by_adcc ON results (cell_id, adcc, image_id);

CREATE TABLE measurements (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images (id),
    value REAL NOT NULL,
    curve BLOB NOT NULL,              -- S + 1 points, float16 little-endian; or empty
    PRIMARY KEY (cell_id, metric, image_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE failures (
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    image_id INTEGER NOT NULL REFERENCES images (id),
    metric TEXT NOT NULL,             -- '' for the row itself
    reason TEXT NOT NULL, detail TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (cell_id, image_id, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE sums (                   -- statistics.Sums, committed with the rows that they sum
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    a TEXT NOT NULL, b TEXT NOT NULL, -- (x, '') Σx; (x, x) Σx²; (x, y) Σxy
    n INTEGER NOT NULL,
    total INTEGER NOT NULL,           -- in units of 2^-40
    PRIMARY KEY (cell_id, a, b)
) STRICT, WITHOUT ROWID;

CREATE TABLE histograms (             -- 20 equal bins, committed with the rows that they count
    cell_id INTEGER NOT NULL REFERENCES cells (id),
    metric TEXT NOT NULL, bin INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (cell_id, metric, bin)
) STRICT, WITHOUT ROWID;

CREATE TABLE stages (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    backbone_id INTEGER NOT NULL REFERENCES backbones (id),
    cells TEXT NOT NULL, metrics TEXT NOT NULL,        -- JSON lists
    forwards_per_image REAL NOT NULL, -- planned, for the ETA before anything is measured
    seconds REAL NOT NULL DEFAULT 0, timed_images INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE workers (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, pid INTEGER NOT NULL, state TEXT NOT NULL,
    heartbeat REAL NOT NULL, restarts INTEGER NOT NULL,
    utilisation REAL, memory_used INTEGER, memory_total INTEGER, power REAL, temperature REAL
) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
"""

VERSION_2 = """
-- run.born: the version from which on every record has its checksum (evaluator.store.checksums)
ALTER TABLE run ADD COLUMN born INTEGER NOT NULL DEFAULT 1;
-- run.log: name of the log beside the file that a driver of this run has written
ALTER TABLE run ADD COLUMN log TEXT;
ALTER TABLE run ADD COLUMN checksum BLOB;
-- seconds of the sessions before the newest, and when that began
ALTER TABLE run ADD COLUMN worked REAL NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN resumed REAL;
ALTER TABLE backbones ADD COLUMN checksum BLOB;
ALTER TABLE cells ADD COLUMN checksum BLOB;
-- images.content: sha256 of the file that the first row was made from
ALTER TABLE images ADD COLUMN content BLOB;
ALTER TABLE images ADD COLUMN checksum BLOB;
ALTER TABLE results ADD COLUMN checksum BLOB;
ALTER TABLE measurements ADD COLUMN checksum BLOB;
ALTER TABLE failures ADD COLUMN checksum BLOB;
ALTER TABLE stages ADD COLUMN checksum BLOB;
ALTER TABLE workers ADD COLUMN checksum BLOB;
ALTER TABLE events ADD COLUMN checksum BLOB;
CREATE TABLE looks (                  -- decision of the plan's rule; the driver works it out anew
    id INTEGER PRIMARY KEY CHECK (id = 1),
    rule TEXT NOT NULL,
    images INTEGER NOT NULL,          -- looked at, in the seeded order
    needed INTEGER,                   -- about how many it takes
    decided INTEGER,                  -- after how many nothing was open any more
    dropped TEXT NOT NULL,            -- JSON, cell -> images after which it is computed no further
    verdicts TEXT NOT NULL,           -- JSON, a line for each backbone
    checksum BLOB
) STRICT;
"""

VERSION_3 = """
CREATE TABLE sum_checksums (          -- over all sums, over all histograms of a cell
    cell_id INTEGER PRIMARY KEY REFERENCES cells (id),
    sums BLOB NOT NULL,
    histograms BLOB NOT NULL
) STRICT;
"""

VERSION_4 = """
-- no table changes: methods get the names of today (evaluator.store.checksums.name_anew)
"""

VERSION_5 = """
-- results.coherency may be missing: of maps that were made elsewhere, for these images alone. No
-- record changes; SQLite drops NOT NULL without a copy of the table in no other way
PRAGMA writable_schema=ON;
UPDATE sqlite_schema SET sql = replace(sql, 'coherency REAL NOT NULL', 'coherency REAL')
    WHERE type = 'table' AND name = 'results';
PRAGMA writable_schema=RESET;
-- whoever has the file open reads the tables anew: SQLite believes NOT NULL without a look
CREATE INDEX read_anew ON run (id);
DROP INDEX read_anew;
"""

MIGRATIONS: tuple[str, ...] = (VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5)
"""Entry v takes a file from version v to version v + 1."""

HISTOGRAM_BINS = 20

_LARGEST = sys.float_info.max


def histogram_bin(value: float, low: float = 0.0, high: float = 1.0) -> int:
    """The bin of a value in [low, high]; ``high`` itself falls into the last.

    The bins of a metric without a least or a greatest value are equal in x/(1 + |x|), x being
    counted from the end that there is.
    """
    place = (value - low) / (high - low) if isfinite(high - low) else _unbounded(value, low, high)
    return max(0, min(int(place * HISTOGRAM_BINS), HISTOGRAM_BINS - 1))


def _unbounded(value: float, low: float, high: float) -> float:
    origin = low if isfinite(low) else high if isfinite(high) else 0.0
    share = (value - origin) / (1 + abs(value - origin)) if isfinite(value - origin) else 1.0
    if isfinite(low) and not isfinite(high):
        return share
    if isfinite(high) and not isfinite(low):
        return 1 + share
    return (1 + share) / 2


@cache
def least_of_bin(place: int, low: float = 0.0, high: float = 1.0) -> float:
    """The smallest number that ``histogram_bin``, which rounds, puts into a bin or a later one."""
    if place <= 0:
        return low
    if place >= HISTOGRAM_BINS:
        return nextafter(high, inf)
    below, above = max(low, -_LARGEST), min(high, _LARGEST)
    while below < (middle := below / 2 + above / 2) < above:
        below, above = (
            (below, middle) if histogram_bin(middle, low, high) >= place else (middle, above)
        )
    return above


def _columns(record: type[Row | Measurement]) -> str:
    """The columns of a record in its table; they have its order."""
    return ", ".join({"cell": "cell_id", "image": "image_id"}.get(n, n) for n in record._fields)


ROW_COLUMNS, ROW_WIDTH = _columns(Row), len(Row._fields)
"""Of the table ``results``."""

MEASUREMENT_COLUMNS = _columns(Measurement)
"""Of the table ``measurements``."""


def row_of(record: Sequence[Any]) -> Row:
    """The row of a record of ``ROW_COLUMNS``."""
    *values, degenerate, map_ = record
    return Row(*[*values, bool(degenerate), map_])
