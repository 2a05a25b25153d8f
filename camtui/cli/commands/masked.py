"""``camtui masked``: the explanation images of one network and method, for other programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.options import NamedDataOption, RunArgument
from camtui.launch import ChildEnded, ask_once
from camtui.runs import name_folder, open_run, refuse_unnamed
from evaluator.errors import RunFailed, UsageError
from evaluator.store.files import temporary_beside
from evaluator.text import counted, printable

app = command_app()


@app.command(cls=Command)
def masked(
    run: RunArgument,
    cell: Annotated[
        str,
        typer.Argument(metavar="B/M", help="NETWORK/METHOD, or a part that only one has."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder for them.")
    ],
    data: NamedDataOption = None,
) -> None:
    """Write the explanation images that a network was shown.

    Without loss: for each image a file PATH/OF/IMAGE.jpg.npy: image times map, normalised,
    [channels, side, side] in float32, as the network takes it (600 kB at 224 x 224). A program that
    explains these gives the maps that -m maps:PLACE:second=PLACE takes.

    Example: camtui masked val resnet50/maps -o val-masked
    """
    from camtui.format.select import find_cell

    name_folder(data)
    target = Path(output).expanduser()
    if os.path.lexists(target):
        raise UsageError(f"{printable(target)} exists", "give a new folder: -o FOLDER")
    with open_run(run) as reader:
        chosen = find_cell(reader, cell)
        refuse_unnamed(reader.plan().data)
        request = {"db": str(reader.path.absolute()), "cell": chosen.id}
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = temporary_beside(target)
    try:
        folder.mkdir()
        request["target"] = str(folder)
        answer = ask_once("evaluator.measuring.explanations", request)
        os.rename(folder, target)
    except ChildEnded as end:
        raise RunFailed(f"writing ended early: {printable(end.said, 200)}", "try it again") from end
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(target)}: {error.strerror}", "choose another place: -o FOLDER"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lacking = answer["unreadable"]
    print_message(
        f"wrote {counted(answer['written'], 'image')} to {printable(target)}"
        + f"; {counted(lacking, 'file')} could not be read" * bool(lacking)
    )
