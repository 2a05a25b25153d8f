"""A fake evaluator: rows are a pure function of (cell, image); knobs make it slow, fatal or stuck.

Knobs are JSON in ``$CAMTUI_FAKE``, or in ``fake.json`` in the data folder, which workers of a Ray
that runs already see too.

Knobs: ``seconds`` per image, ``start_seconds``, ``load_seconds``; ``kills``, ``hangs``, ``raises``,
``sticky``: ids of images that kill the worker, hang it, raise an exception, or raise a sticky
device error; ``kills_method``: only with this method; ``unstable``: backbones whose answers change
while they run; ``unavailable``: backbones whose weights cannot be loaded; ``weights``: changes
their hash; ``nan``: images whose average drop is not a number; ``huge``: images whose class no
database holds; ``worse``: methods whose maps cover
nearly everything; ``gap_linear``: of every head; ``log``: a file that gets a line for each unit
that is begun; ``gate``: nothing is computed while a file of that name exists, but for the first
``free`` units of a worker; ``load_gate``: no network is loaded while that file exists;
``contents``: files are hashed, as the real one does; ``files``: images are read and may be
unreadable, as for the real one; ``answers``: a method: the confidence in an image is that of its
rows in this method, without it the session tells none; ``unread``: so often, at first, no image can
be read for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluator.catalog import value_range
from evaluator.errors import BackboneUnavailable, ImageUnreadable, Mismatch, UnstableAnswer
from evaluator.interfaces import DeviceFigures, SessionSettings
from evaluator.plan import RunPlan
from evaluator.records import (
    Failure,
    ImageRef,
    LoadedBackbone,
    Measurement,
    Preprocessing,
    Row,
    Unit,
    UnitResult,
)
from evaluator.sources import read_image

HALF = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))

DOTTED = "tests.fake_session:open_session"
CLASSES = ("tench", "goldfish", "shark")


def open_session(settings: SessionSettings) -> FakeSession:
    return FakeSession(settings)


def read_knobs(root: Path) -> dict[str, Any]:
    file = root / "fake.json"
    text = os.environ.get("CAMTUI_FAKE") or (file.read_text() if file.exists() else "{}")
    knobs: dict[str, Any] = json.loads(text)
    return knobs


class FakeSession:
    def __init__(self, settings: SessionSettings, knobs: dict[str, Any] | None = None) -> None:
        self._plan = settings.plan
        self._layers = settings.layers
        self._asked = self._begun = 0
        self._root = Path(settings.root)
        self._knobs = read_knobs(self._root) if knobs is None else knobs
        time.sleep(self._knobs.get("start_seconds", 0))

    def versions(self) -> dict[str, str]:
        return {"fake": "1"}

    def load(self, position: int) -> LoadedBackbone:
        key = self._plan.backbones[position].key
        self._backbone = self._plan.backbones[position].name
        time.sleep(self._knobs.get("load_seconds", 0))
        self._wait_while(self._knobs.get("load_gate", ""))
        if key in self._knobs.get("unavailable", ()):
            raise BackboneUnavailable(f"no weights for {key}", "put them there")
        layer = self._layers.get(position) or self._knobs.get("layer", "layer")
        if layer in self._knobs.get("refused_layers", ()):
            raise Mismatch(f"layer '{layer}' is refused now", "another --name")
        sha = hashlib.sha256(f"{key}{self._knobs.get('weights', '')}".encode()).hexdigest()
        gap = self._knobs.get("gap_linear", key != "vgg16")
        return LoadedBackbone(
            key,
            "fake",
            sha,
            layer,
            8,
            2,
            2,
            gap,
            CLASSES,
            Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
        )

    def prefetch(self, unit: Unit) -> None:
        pass

    def evaluate(self, unit: Unit) -> UnitResult:
        self._log(unit)
        self._begun += 1
        if self._begun > self._knobs.get("free", 0):
            self._wait_while(self._knobs.get("gate", ""))
        begun = time.perf_counter()
        rows: list[Row] = []
        measurements: list[Measurement] = []
        failures: list[Failure] = []
        contents: dict[int, bytes] = {}
        for image in unit.images:
            self._misbehave(unit, image)
            if self._knobs.get("contents"):
                contents[image.id] = hashlib.sha256(
                    (self._root / os.fsdecode(image.path)).read_bytes()
                ).digest()
            time.sleep(self._knobs.get("seconds", 0))
            for cell, method in zip(unit.cells, unit.methods, strict=True):
                name = self._plan.backbones[unit.backbone].name
                if os.path.basename(image.path).startswith(b"bad"):
                    failures += [
                        Failure(cell, image.id, m, "not-an-image", "bad")
                        for m in unit.metrics or ("",)
                    ]
                elif error := self._unreadable(image):
                    failures += [
                        Failure(cell, image.id, m, error.reason, error.message)
                        for m in unit.metrics or ("",)
                    ]
                elif unit.metrics and (cell, image.id) not in unit.maps:
                    continue  # its row is damaged
                elif unit.metrics:
                    assert unit.maps[cell, image.id].target == image.id % 3
                    measurements += [
                        fake_measurement(cell, name, method, image.id, m) for m in unit.metrics
                    ]
                else:
                    rows.append(self._row(cell, name, method, image))
        forwards = len(unit.images) * (1 + len(unit.cells))
        return UnitResult(
            tuple(rows),
            tuple(measurements),
            tuple(failures),
            time.perf_counter() - begun,
            forwards,
            contents=contents,
        )

    def _wait_while(self, gate: str) -> None:
        while os.path.exists(gate):
            time.sleep(0.01)

    def _unreadable(self, image: ImageRef) -> ImageUnreadable | None:
        if self._knobs.get("files"):
            try:
                read_image(self._root, image.path, image.size)
            except ImageUnreadable as error:
                return error
        return None

    def _row(self, cell: int, backbone: str, method: str, image: ImageRef) -> Row:
        row = fake_row(cell, backbone, method, image.id)
        if image.id in self._knobs.get("nan", ()):
            return row._replace(average_drop=float("nan"))
        if image.id in self._knobs.get("huge", ()):
            return row._replace(target=10**23)
        if method in self._knobs.get("worse", ()):
            return row._replace(complexity=0.9 + 0.05 * row.complexity)
        return row

    def _misbehave(self, unit: Unit, image: ImageRef) -> None:
        if self._plan.backbones[unit.backbone].key in self._knobs.get("unstable", ()) and image.id:
            raise UnstableAnswer("while it ran, the network answers differently each time", "mend")
        method = self._knobs.get("kills_method")
        if method and method not in unit.methods:
            return
        if image.id in self._knobs.get("kills", ()):
            os.kill(os.getpid(), signal.SIGKILL)
        if image.id in self._knobs.get("hangs", ()):
            time.sleep(3600)
        if image.id in self._knobs.get("raises", ()):
            raise ValueError(f"image {image.id} is cursed")
        if image.id in self._knobs.get("sticky", ()):
            raise RuntimeError("CUDA error: device-side assert triggered")

    def _log(self, unit: Unit) -> None:
        if "log" in self._knobs:
            with open(self._knobs["log"], "a") as stream:
                line = {
                    "images": [i.id for i in unit.images],
                    "methods": unit.methods,
                    "metrics": unit.metrics,
                }
                stream.write(json.dumps(line) + "\n")

    def confidences(self, images: Sequence[ImageRef]) -> dict[int, Sequence[float]]:
        self._asked += 1
        if "answers" not in self._knobs or self._asked <= self._knobs.get("unread", 0):
            return {}
        found: dict[int, Sequence[float]] = {}
        for image in images:
            row = fake_row(0, self._backbone, self._knobs["answers"], image.id)
            found[image.id] = [row.y if index == row.target else 0.0 for index in range(3)]
        return found

    def figures(self) -> DeviceFigures:
        return DeviceFigures(50.0, 1, 2)

    def close(self) -> None:
        pass


def fake_row(cell: int, backbone: str, method: str, image: int) -> Row:
    """The one row that this image has in this cell, whoever computes it, whenever."""
    y, o, coherency, complexity = fractions(f"{backbone}/{method}/{image}", 4)
    drop = max(0.0, y - o) / y
    adcc = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop)) if drop < 1 else 0.0
    saliency = struct.pack("<4f", *fractions(f"map {method}/{image}", 4))
    return Row(
        cell,
        image,
        image % 3,
        image % 3,
        y,
        o,
        drop,
        float(o > y),
        coherency,
        complexity,
        adcc,
        image % 7 == 0,
        saliency,
    )


def fake_measurement(cell: int, backbone: str, method: str, image: int, metric: str) -> Measurement:
    """The one curve that this image has in this cell."""
    (value,) = fractions(f"{metric}/{backbone}/{method}/{image}", 1)
    low, high = value_range(metric)
    return Measurement(
        cell, image, metric, low + (high - low) * value, struct.pack("<2e", value, value)
    )


def fractions(seed: str, count: int) -> list[float]:
    """Numbers strictly between 0 and 1, a pure function of the seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return [
        (int.from_bytes(digest[4 * i : 4 * i + 4], "little") + 1) / (2**32 + 2)
        for i in range(count)
    ]


def expected_rows(plan: RunPlan, images: int) -> dict[tuple[str, str, int], Row]:
    """What a complete run must hold, by (backbone, method, image)."""
    return {
        (backbone.name, method, image): fake_row(0, backbone.name, method, image)
        for backbone in plan.backbones
        for method in plan.methods
        for image in range(images)
    }
