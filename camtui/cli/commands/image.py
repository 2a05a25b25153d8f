"""``camtui image``: images as a method sees them, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.options import ForceOption, NamedDataOption, RunArgument
from camtui.runs import name_folder, open_run
from evaluator.errors import NotFound, UsageError
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from PIL.Image import Image

    from camtui.pictures import ColourMap, PictureKind
    from evaluator.records import Cell
    from evaluator.store.reader import RunReader


app = command_app()


@app.command(cls=Command)
def image(
    run: RunArgument,
    cell: Annotated[
        str,
        typer.Argument(metavar="NETWORK:METHOD", help="Whose maps; with --all-methods, NETWORK."),
    ],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Number, path, or a part of only one path."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="PNG, JPEG or PDF, by its name.")
    ],
    view: Annotated[
        str, typer.Option("--view", metavar="VIEW", help="input, cam, overlay, masked, or all.")
    ] = "",
    all_methods: Annotated[
        bool,
        typer.Option("--all-methods", help="Rows images, columns methods: the paper's Figure 2."),
    ] = False,
    colours: Annotated[
        str,
        typer.Option(
            "--colours", metavar="NAME", help="turbo, inferno, viridis, cividis, grey or magma."
        ),
    ] = "turbo",
    alpha: Annotated[
        float,
        typer.Option(
            "--alpha",
            metavar="X",
            min=0.0,
            max=1.0,
            help="Opacity of an overlay where the map is 1.",
        ),
    ] = 0.75,
    truth: Annotated[
        bool, typer.Option("--truth", help="Draw the object's edge too, by the run's own --truth.")
    ] = False,
    force: ForceOption = False,
    data: NamedDataOption = None,
) -> None:
    """Draw images as a method sees them.

    At the network's own side: input, map, overlay, masked image. Needs the image files where the
    run found them; the maps come from the run. 0 and 1 are the ends of the colours in every map, so
    that maps can be compared.

    Example: camtui image val resnet50:gradcam 17 -o seventeen.png
    """
    from camtui.export.output import check_free
    from camtui.pictures import Look

    name_folder(data)
    target = Path(output)
    check_free(target, force=force)
    reader = open_run(run)
    look, views = (
        Look(_colours(colours), alpha),
        _views(view or ("overlay" if all_methods else "all")),
    )
    refs = [reader.images.find(text) for text in images]
    if all_methods:
        from camtui.figures.sheet import figure_2

        sheet = figure_2(reader, _cells_of(reader, cell), refs, views[0], look, truth=truth)
    else:
        from camtui.figures.sheet import cell_sheet, open_panels
        from camtui.format.select import find_cell

        if len(refs) != 1:
            raise UsageError(
                f"one image is drawn at a time, not {len(refs)}",
                "--all-methods draws a row for each",
            )
        sheet = cell_sheet(
            open_panels(reader, find_cell(reader, cell), refs[0], truth=truth), views, look
        )
    _save(sheet, target, force=force)


def _cells_of(reader: RunReader, text: str) -> list[Cell]:
    """The applicable cells of a backbone, which may also be named by one of its cells."""
    names = list(reader.backbones())
    longest = sorted(names, key=len, reverse=True)
    name = next(
        (known for known in longest if f"{text}/".startswith((f"{known}/", f"{known}:"))),
        text.split("/")[0],
    )
    if name not in names:
        raise NotFound(
            f"the run has no network '{printable(text, 60)}'",
            f"{did_you_mean(name, names)}it has {', '.join(names)}",
        )
    return [cell for cell in reader.cells() if cell.backbone == name and cell.applicable]


def _views(text: str) -> list[PictureKind]:
    from camtui.pictures import PICTURE_KINDS

    found = [view for view in PICTURE_KINDS if text in (view, "all")]
    if not found:
        raise UsageError(
            f"--view takes {', '.join(PICTURE_KINDS)} or all, not '{printable(text, 40)}'",
            f"{did_you_mean(text, PICTURE_KINDS)}for example --view overlay",
        )
    return found


def _colours(text: str) -> ColourMap:
    from camtui.pictures import COLOUR_MAPS

    for known in COLOUR_MAPS:
        if text == known:
            return known
    raise UsageError(
        f"--colours takes {', '.join(COLOUR_MAPS)}, not '{printable(text, 40)}'",
        f"{did_you_mean(text, COLOUR_MAPS)}for example --colours cividis",
    )


_DPI = 224.0
"""Pixels to an inch of a PDF: a picture of the usual side is one inch wide."""


def _save(sheet: Image, target: Path, *, force: bool) -> None:
    from camtui.export.output import destination

    kinds = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".pdf": "PDF"}
    kind = kinds.get(target.suffix.lower())
    if kind is None:
        raise UsageError(
            f"no picture format known for '{printable(target.name, 60)}'",
            f"-o FILE with one of {', '.join(kinds)}",
        )
    with destination(target, force=force) as stream:
        sheet.save(stream, kind, **({"resolution": _DPI} if kind == "PDF" else {}))
    print_message(f"wrote {printable(target)} ({sheet.width} × {sheet.height})")
