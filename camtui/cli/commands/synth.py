"""``camtui synth``: images whose evidence is known."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.runs import name_for
from evaluator.errors import UsageError
from evaluator.text import did_you_mean, printable

_BETWEEN_LINES = 2.0
"""Seconds between two lines of progress."""


app = command_app()


@app.command(cls=Command)
def synth(
    folder: Annotated[
        str,
        typer.Argument(metavar="DIR", help="New, empty, or a synthetic data set that is to grow."),
    ],
    images: Annotated[
        int, typer.Option("--images", "-n", metavar="N", min=1, max=1_000_000, help="How many.")
    ] = 1000,
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", min=0, help="Image i is a function of S and i.")
    ] = 0,
    side: Annotated[
        int,
        typer.Option(
            "--side", metavar="PIXELS", min=32, max=1024, help="Height and width in pixels."
        ),
    ] = 64,
    world: Annotated[
        str,
        typer.Option(
            "--world", metavar="WORLD", help="shapes: the object is the evidence; marks: a part is."
        ),
    ] = "shapes",
) -> None:
    """Draw images of shapes with masks, on textured backgrounds.

    Eight classes, told apart by one outline and by nothing else: that of the object, or, in the
    world marks, that of a small mark on it. DIR/images has class folders for --data, DIR/masks the
    object of each image, DIR/evidence the mark, DIR/plan.json everything that was drawn.

    Example: camtui synth shapes --images 1000 --seed 0
    """
    from evaluator.synthetic.scene import WORLDS, DataSet, images_there, write_images

    chosen = next((one for one in WORLDS if one == world), None)
    if chosen is None:
        raise UsageError(
            f"unknown world '{printable(world, 40)}'",
            f"{did_you_mean(world, WORLDS)}--world {' or --world '.join(WORLDS)}",
        )
    wanted = DataSet(Path(folder).expanduser(), seed, side, chosen)
    have, last = images_there(wanted), monotonic()
    for written in write_images(wanted, images):
        if monotonic() - last >= _BETWEEN_LINES:
            last = monotonic()
            print_message(f"{written:,} of {images:,} images")
    print_message(f"wrote {images:,} images with masks: {printable(wanted.folder)}")
    if have > images:
        print_message(
            f"{have:,} images are there, and a run measures them all; -n {images} measures fewer"
        )
    print_message(
        f"next: camtui run --data {printable(wanted.images)} --truth {printable(wanted.evidence)} "
        f"-b synthetic_cnn{'_marks' if chosen == 'marks' else ''} "
        f"--metric mass_accuracy,rank_accuracy --name {name_for(wanted.folder.name)}"
    )
