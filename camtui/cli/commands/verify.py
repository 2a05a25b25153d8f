"""``camtui verify``: whether a bundle or a run is what was made, and its rows come out again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from secrets import randbelow
from typing import TYPE_CHECKING, Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line, print_message
from camtui.cli.options import AllowCodeOption, JsonOption
from camtui.compute import choose_devices
from camtui.runs import name_folder, open_run, refuse_unnamed
from evaluator.errors import NotFound, StoreError
from evaluator.sources import there_is
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from camtui.payloads import VerifyPayload
    from evaluator.store.reader import RunReader

app = command_app()

_FORGED = (0.0, 0.01, 0.05, 0.15)
"""Shares of forged rows for which it is said how likely they would have been seen; 0: one row."""


@app.command(cls=Command)
def verify(
    run: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE|RUN",
            help="A folder of camtui bundle, or a run.",
            autocompletion=completion.runs,
        ),
    ],
    recompute: Annotated[
        int,
        typer.Option(
            "--recompute", metavar="N", min=0, help="Compute so many rows again; 0 for none."
        ),
    ] = 20,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="The images; they are found by their hash."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Of the draw; each time another without it."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="cpu|cuda:N", help="To compute on.  [default: cuda if there is one]"
        ),
    ] = None,
    allow_code: AllowCodeOption = False,
    json: JsonOption = False,
) -> None:
    """Check a run: hashes, checksums, sums, rows computed again.

    Rows are computed again here and must agree within the tolerance of docs/protocol.md; the share
    of forged rows that this would have shown is said. Without the images hashes and sums alone are
    checked. Nothing of a foreign run's code is imported unless it is allowed. Exit code 0, or 5
    where something is not what was made.

    Example: camtui verify val-bundle --data /data/imagenet/val
    """
    name_folder(data)
    number = randbelow(2**32) if seed is None else seed
    found = _verified(run, recompute, data, number, device, allow_code=allow_code)
    if json:
        print_json(found)
    else:
        _print(found)
    if not found["verified"]:
        raise typer.Exit(5)


def _verified(
    run: str, count: int, data: Path | None, seed: int, device: str | None, *, allow_code: bool
) -> VerifyPayload:
    from camtui.bundle import (
        RUN,
        Recomputed,
        check_contents,
        check_files,
        check_identities,
        fingerprint,
        recompute,
    )
    from evaluator.store.audit import audit, caught, remark
    from evaluator.store.reader import RunReader

    folder = Path(run).expanduser()
    bundle = folder if folder.is_dir() else None
    problems = check_files(bundle) if bundle else []
    again, mark = Recomputed(), ""
    try:
        with closing(RunReader(bundle / RUN) if bundle else open_run(run)) as reader:
            with reader.moment():  # a run may go on meanwhile
                problems += audit(reader)
                problems += check_identities(reader)
                if bundle:
                    problems += check_contents(reader, bundle)
                mark = fingerprint(reader).sha256
            remarks = list(filter(None, [remark(reader)]))
            root = data or (None if bundle else _own_folder(reader))
            if not root or not count:
                remarks.append(
                    "no row was computed again: hashes and sums only"
                    + ("" if root else "; --data FOLDER names the images")
                )
            else:
                again = recompute(
                    reader,
                    root.expanduser(),
                    count,
                    seed=seed,
                    device=choose_devices(device, 1)[0],
                    retry_command=f"camtui verify {printable(run)}",
                    allow=allow_code,
                )
    except StoreError as error:
        if not bundle:
            raise
        problems, remarks = [*problems, error.message], []
    problems += again.problems
    return {
        "verified": not problems and not again.differing,
        "fingerprint": mark,
        "problems": problems,
        "remarks": [*remarks, *again.remarks],
        "rows": again.rows,
        "drawn": again.drawn,
        "agreed": again.agreed,
        "seed": seed,
        "differing": again.differing,
        "caught": [
            {"forged": share, "probability": caught(share, again.drawn, again.rows)}
            for share in _FORGED
            if again.drawn
        ],
    }


def _own_folder(reader: RunReader) -> Path | None:
    """Return the folder that a run was started on, where this user has named it."""
    folder = reader.plan().data
    try:
        refuse_unnamed(folder)
    except NotFound:
        return None
    return Path(folder) if there_is(Path(folder)) else None


def _print(found: VerifyPayload) -> None:
    for problem in found["problems"]:
        print_line(printable(problem), 2)
    for row in found["differing"]:
        stored, now = (
            "nothing" if row[side] is None else f"{row[side]:.6g}" for side in ("stored", "found")
        )
        apart = "" if row["difference"] is None else f", {row['difference']:.2g} apart"
        what = f"{row['backbone']}/{row['method']}, {row['image']}: {row['metric']}"
        values = "another one" if row["metric"] == "map" else f"{stored} in the run, {now} here"
        print_line(printable(f"{what} is {values}{apart}"), 2)
    for remark in found["remarks"]:
        print_message(remark, 2)
    if found["drawn"]:
        print_message(
            f"{found['agreed']} of {counted(found['drawn'], 'row')} computed again agree, of "
            f"{found['rows']:,} (--seed {found['seed']})"
        )
        told = [
            f"{f'{100 * share:g} %' if share else 'one row'} with {percent:g} %"
            for share, percent in (
                (one["forged"], float(f"{100 * one['probability']:.2g}")) for one in found["caught"]
            )
        ]
        print_message(f"forged rows would have been seen: {', '.join(told)}", 2)
    print_message(
        f"nothing was found wrong, fingerprint {found['fingerprint']}"
        if found["verified"]
        else "not what was made",
        2,
    )
