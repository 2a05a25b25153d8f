"""The options of ``camtui run`` that make the plan, as annotated types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camtui.cli import completion
from evaluator import catalog

DataFolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of class folders, or a flat folder of images.",
        rich_help_panel="Images",
    ),
]
DemoOption = Annotated[
    bool,
    typer.Option(
        "--demo",
        help="scikit-image's photographs, three EfficientNet-Lites, Table 2 without Score-CAM.",
        rich_help_panel="Images",
    ),
]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        help="Repeat, or use commas: camtui methods.",
        autocompletion=completion.methods,
        rich_help_panel="Measurement",
        metavar="LIST",
    ),
]
MetricsOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"{', '.join(catalog.optional_metrics())} or all; the others always.",
        autocompletion=completion.optional_metrics,
        rich_help_panel="Measurement",
        metavar="LIST",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        help="First N images of the seeded order.",
        rich_help_panel="Images",
        metavar="N",
    ),
]
RunNameOption = Annotated[
    str | None,
    typer.Option(
        help="Of the run; default: the data folder's, so the same command goes on.",
        rich_help_panel="The run's file",
        metavar="NAME",
    ),
]
RunFileOption = Annotated[
    Path | None,
    typer.Option(
        help="The run's file, where it shall not lie with the others.",
        rich_help_panel="The run's file",
        metavar="FILE.db",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        help="fp32, mixed or bf16.  [default: fp32 on cpu, mixed on cuda]",
        rich_help_panel="Protocol",
        metavar="fp32|mixed|bf16",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        help="Of the order of images and of all noise.  [default: 0]",
        rich_help_panel="Protocol",
        metavar="N",
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        help="Class that is explained: predicted or label.  [default: predicted]",
        rich_help_panel="Protocol",
        metavar="predicted|label",
    ),
]
ResizeOption = Annotated[
    int | None,
    typer.Option(
        help="224: each network's own short side before the crop; 256: 256/224 of its side.  "
        "[default: 224]",
        rich_help_panel="Protocol",
        metavar="PIXELS",
    ),
]
SideOption = Annotated[
    int | None,
    typer.Option(
        help="Height and width of the input.  [default: each network's own, as camtui show says]",
        rich_help_panel="Protocol",
        metavar="PIXELS",
    ),
]
LayerOption = Annotated[
    str | None,
    typer.Option(
        help="Target layer, by dotted name.  [default: the backbone's own]",
        rich_help_panel="Measurement",
        metavar="LAYER",
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="FILE.safetensors, FILE.pth or random:SEED.",
        rich_help_panel="Measurement",
        metavar="FILE|random:SEED",
    ),
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Class names of your own network, one a line.  [default: the network's, or "
        "the folders']",
        rich_help_panel="Measurement",
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="CSV of image,label for flat folders.", rich_help_panel="Images"
    ),
]
CurveStepsOption = Annotated[
    int | None,
    typer.Option(
        help="Steps of deletion and insertion.  [default: 28]",
        rich_help_panel="Protocol",
        metavar="N",
    ),
]
InsertionStartOption = Annotated[
    str | None,
    typer.Option(
        help="zero, blur (as RISE does) or blur-torchvision.  [default: zero]",
        rich_help_panel="Protocol",
        metavar="zero|blur|…",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="Enough images: 'ci<=POINTS' (of ADCC, every cell), decided, or all.",
        rich_help_panel="Images",
    ),
]
MarginOption = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="With decided: differences that do not matter.  [default: 0.5]",
        rich_help_panel="Images",
    ),
]
DropDecidedOption = Annotated[
    bool,
    typer.Option(
        "--drop-decided",
        help="With decided: methods certainly worse are computed no further.",
        rich_help_panel="Images",
    ),
]
TruthOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR|FILE.json",
        help="Where the objects are: masks, VOC boxes or a COCO file.",
        rich_help_panel="Images",
    ),
]
PointingMarginOption = Annotated[
    int | None,
    typer.Option(
        help="Around the object, in pointing_game.  [default: 15]",
        rich_help_panel="Protocol",
        metavar="PIXELS",
    ),
]
RoadRemovalOption = Annotated[
    str | None,
    typer.Option(
        help="How ROAD takes pixels out: rank, or released (by percentile).  [default: rank]",
        rich_help_panel="Protocol",
        metavar="rank|released",
    ),
]
RoadNoiseOption = Annotated[
    str | None,
    typer.Option(
        help="Where ROAD adds its noise: to pixels, or normalised, as earlier versions.  "
        "[default: pixels]",
        rich_help_panel="Protocol",
        metavar="pixels|normalised",
    ),
]
AllImagesOption = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Every image, where the run that is there has fewer.",
        rich_help_panel="Images",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PLAN.toml",
        help="A plan; options given here win.",
        rich_help_panel="Measurement",
    ),
]
