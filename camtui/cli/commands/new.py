"""``camtui new``: a file to begin with, and its test."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import ForceOption, JsonOption
from evaluator.errors import UsageError
from evaluator.methods import all_methods
from evaluator.metrics import all_metrics
from evaluator.text import printable
from evaluator.user_code_facts import KEY

if TYPE_CHECKING:
    from camtui.payloads import NewFilesPayload


_TEMPLATES = Path(__file__).parents[2] / "templates"

_NEXT = {
    "method": "camtui check {file}:{name}",
    "metric": "camtui check {file}:{name}",
    "backbone": "camtui backbones --check {file}:{name}",
}


app = command_app()


@app.command(cls=Command)
def new(
    axis: Annotated[
        Literal["method", "metric", "backbone"],
        typer.Argument(metavar="KIND", help="'method', 'metric' or, for a network, 'backbone'."),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and _.")],
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files go.")
    ] = Path("."),
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a method, a metric or a network that runs, and its test.

    NAME.py and test_NAME.py.

    Example: camtui new method mycam
    """
    _check_name(axis, name)
    words = {**_words(name), "year": str(date.today().year)}
    files = {
        folder / f"{name}.py": f"{axis}.py.txt",
        folder / f"test_{name}.py": f"test_{axis}.py.txt",
    }
    for file in files:
        if file.exists() and not force:
            raise UsageError(
                f"{printable(file)} is there already",
                "--force writes it anew, or choose another name",
            )
    for file, template in files.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(
                Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(words),
                encoding="utf-8",
            )
        except OSError as error:
            raise UsageError(
                f"cannot write {printable(file)}: {error.strerror}", "choose another folder: -o DIR"
            ) from error
    first = next(iter(files))
    place = f"./{first}" if not first.is_absolute() and first.parts[:1] != ("..",) else str(first)
    named = {"method": words["cls"], "metric": "METRIC", "backbone": "build"}[axis]
    then = _NEXT[axis].format(file=place, name=named)
    if json:
        payload: NewFilesPayload = {
            "files": [str(file) for file in files],
            "reference": f"{place}:{named}",
            "next": then,
        }
        print_json(payload)
        return
    for file in files:
        print(printable(file))
    print_message(f"next:  {then}")


def _check_name(axis: str, name: str) -> None:
    if not KEY.fullmatch(name):
        hint = f"lower-case letters, digits and '_': camtui new {axis} mine"
        raise UsageError(f"'{printable(name, 60)}' is no name for a {axis}", hint)
    if name in all_methods() or name in all_metrics():
        raise UsageError(
            f"'{name}' is a name of camtui's own", f"for example camtui new {axis} my_{name}"
        )


def _words(name: str) -> dict[str, str]:
    """``my_cam`` → class ``MyCAM``, title ``My-CAM``; ``kept`` → ``Kept``."""
    stem = name.removesuffix("cam").strip("_")
    if stem and stem != name.strip("_"):
        parts = [part.capitalize() for part in stem.split("_") if part]
        return {
            "name": name,
            "cls": f"{''.join(parts)}CAM",
            "title": f"{' '.join(parts)}-CAM",
            "short": name[:6],
        }
    parts = [part.capitalize() for part in name.split("_") if part]
    return {"name": name, "cls": "".join(parts), "title": " ".join(parts), "short": name[:6]}
