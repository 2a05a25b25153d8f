"""Curves of one image over the share of its pixels: drawn side by side, or played step by step."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from camtui.format import Field, percent
from camtui.pictures import Pixels, along_curve
from camtui.tui import text
from camtui.tui.image_data import ImageData, ImageRecord
from camtui.tui.widgets.gallery import GalleryItem
from evaluator.catalog import curve_metrics, known_metrics
from evaluator.plan import RunPlan
from evaluator.records import Measurement


def curve_lines(record: ImageRecord, width: int, height: int = 7) -> list[list[Field]]:
    """Draw deletion, insertion and their like side by side.

    Confidence is upwards, the share of pixels to the right.

    Args:
        height: rows, title and axis included.
    """
    side = max(16, width // max(2, len(record.curves)) - 2)
    blocks = [
        _curve_block(name, record.curves[name], side, max(5, height), f"series{place}")
        for place, name in enumerate(sorted(record.curves))
    ]
    return [
        [part for block in blocks for part in (*block[row], Field("  "))]
        for row in range(max(5, height))
    ]


def _curve_block(
    name: str,
    measured: Measurement,
    width: int,
    height: int,
    role: str,
    until: int | None = None,
) -> list[list[Field]]:
    """Draw one curve with its title, the ends of both axes, and their names.

    Args:
        until: the last point to draw, all where it is not given.
    """
    metric = known_metrics()[name]
    points = _points(measured)
    top = max([0.05, *points])
    rows = height - 2
    plot = text.BraillePlot(width - 6, rows, 0.0, top)
    last = len(points) if until is None else until + 1
    plot.line([point if place < last else None for place, point in enumerate(points)])
    title = f" {metric.title} {metric.arrow} {percent(measured.value)}"
    whole = f"{title}: confidence in the class"
    title = whole if len(whole) <= width else title
    labels = {0: f"{top:.2f}", rows - 1: "0"}
    lines = [[Field(f"{title:<{width}.{width}}", "dim")]]
    lines += [
        [Field(f"{labels.get(row, ''):>5} ", "dim"), Field(line, role)]
        for row, line in enumerate(plot.lines())
    ]
    axis = f"{f'100 % of pixels {metric.curve_pixels}':>{width - 7}}"
    return [*lines, [Field(f"{'':>6}0{axis[-(width - 7) :]}", "dim")]]


def _points(measured: Measurement) -> list[float]:
    points: list[float] = np.frombuffer(measured.curve, dtype="<f2").astype(float).tolist()
    return points


FRAMES = 30
"""At most so many pictures are drawn from the beginning of a curve to its end."""


@dataclass
class Play:
    """A curve that is drawn step by step while the image loses or gains its pixels.

    Attributes:
        image_data: the image, whose pixels and map are there.
        metric: whose curve it is.
        place: of the point that has been reached.
        running: whether it goes on by itself.
    """

    image_data: ImageData
    plan: RunPlan
    metric: str
    place: int = 0
    running: bool = True

    @property
    def measured(self) -> Measurement:
        """The curve."""
        return self.image_data.record.curves[self.metric]

    @property
    def steps(self) -> int:
        """How many steps it has: one less than points."""
        return len(_points(self.measured)) - 1

    def move(self, step: int) -> None:
        """Go so many steps on, to the end at most, where it stops."""
        self.place = max(0, min(self.place + step, self.steps))
        self.running = self.running and self.place < self.steps

    def go_on(self) -> None:
        """Go on by itself, as far as lets the whole take ``FRAMES`` pictures."""
        self.move(ceil(self.steps / FRAMES))

    def picture(self) -> GalleryItem:
        """Draw the image as the network saw it at this point."""
        panels, known = self.image_data.panels, known_metrics()[self.metric]
        picture: Pixels | None = None
        if panels.image is not None and panels.saliency is not None:
            removed = known.curve_pixels == "removed"
            state = self.plan.removed if removed else self.plan.insertion_start
            picture = along_curve(
                panels.image,
                panels.saliency,
                self.place / self.steps,
                removed=removed,
                empty=state,
                loaded=panels.loaded,
            )
        share = f"{percent(self.place / self.steps, 0)} % {known.curve_pixels}"
        return GalleryItem(share, picture, self.image_data.problem)

    def lines(self, width: int, height: int) -> list[list[Field]]:
        """Draw the curve as far as it has been reached."""
        return _curve_block(
            self.metric, self.measured, max(16, width), max(5, height), "series0", self.place
        )

    def fact_line(self) -> list[Field]:
        """Say where it is, and the keys."""
        points = _points(self.measured)
        others = [key for key in playable(self.image_data.record) if key != self.metric]
        other = f" d {known_metrics()[others[0]].title.lower()}" if others else ""
        space = "holds" if self.running else "goes on" if self.place < self.steps else "again"
        return [
            Field(f" confidence {points[self.place]:.3f}", "strong"),
            Field(f" (at first {points[0]:.3f})  {self.place}/{self.steps}  "),
            Field(f"Space {space} ←→ steps{other}", "dim"),
        ]


def playable(record: ImageRecord) -> list[str]:
    """Return the metrics whose curves an image has."""
    return [key for key in curve_metrics() if key in record.curves]


def why_not_played(image_data: ImageData, run: str) -> str:
    """Say why no curve of an image can be played, with the command that changes it."""
    if image_data.record.row is None:
        return image_data.record.failure
    if not playable(image_data.record):
        keys = ",".join(curve_metrics())
        return f"this image has no curve: camtui run … --name {run} --metric {keys} measures them"
    if image_data.panels.image is None:
        return image_data.problem
    return "" if image_data.panels.saliency is not None else "no map is stored for this image"
