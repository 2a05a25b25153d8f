"""The plan of a run, from options, a plan file and the stored run; the one place of defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from camtui import completion
from camtui.code_resolver import Resolver
from camtui.compute import usual_precision
from camtui.runs import name_for
from evaluator import catalog
from evaluator.backbones import (
    DEFAULT_WEIGHTS,
    BackboneSpec,
    families,
    local_weights,
    parse_backbone,
    read_option,
    split_backbone,
)
from evaluator.errors import NotFound, StoreError, UsageError
from evaluator.images import demo_root
from evaluator.labels import Listing
from evaluator.methods import all_methods
from evaluator.plan import RunPlan, as_begun, extended, validated_plan
from evaluator.references import as_spec
from evaluator.text import printable


def plan_diff(stored: RunPlan, asked: RunPlan) -> list[str]:
    """Return the additions to the stored run, one clause each; none where it only goes on.

    Raises:
        Mismatch: the two differ in a choice of the protocol.
    """
    both = extended(stored, asked)
    clauses = []
    if both.limit != stored.limit:
        clauses.append(
            f"{_images(both.limit)} instead of {_images(stored.limit)}, for every method it has"
        )
    elif asked.limit and asked.limit != stored.limit:
        clauses.append(
            f"it keeps {_images(stored.limit)}, a run does not shrink: another --name for "
            f"{asked.limit}"
        )
    if str(both.rule) != str(stored.rule):
        clauses.append(f"--until {both.rule or 'all'} instead of {stored.rule or 'all'}")
    for what, before, after in (
        (
            "backbone",
            [spec.name for spec in stored.backbones],
            [spec.name for spec in both.backbones],
        ),
        ("method", stored.methods, both.methods),
        ("metric", stored.metrics, both.metrics),
    ):
        new = [name for name in after if name not in before]
        if new:
            clauses.append(
                f"new {what}{'s' if len(new) > 1 else ''} {', '.join(map(printable, new))}"
            )
    if both.truth != stored.truth:
        clauses.append(f"truth from {printable(both.truth)}")
    return clauses


def _images(limit: int | None) -> str:
    return "all images" if limit is None else f"the first {limit}"


if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

_GENERIC_FOLDERS = {"val", "train", "test", "images", "data", "valid", "validation"}
"""Names of data folders that say nothing without the folder they are in."""

_RULE = ("until", "margin", "drop_decided")

_PROTOCOL = (
    "labels",
    "seed",
    "target",
    "resize",
    "precision",
    "curve_steps",
    "insertion_start",
    "truth",
    "pointing_margin",
    "road_removal",
    "road_noise",
    *_RULE,
)
"""Fields that a stored run decides where nothing else is typed."""


@dataclass(frozen=True)
class PlanOptions:
    """The options of ``camtui run`` that make the plan; ``None`` where not given.

    Attributes:
        weights, layer, classes: for every backbone that does not name its own.
    """

    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of class folders, or a flat folder of images.",
            rich_help_panel="Images",
        ),
    ] = None
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="scikit-image's photographs, three EfficientNet-Lites, Table 2 without Score-CAM.",
            rich_help_panel="Images",
        ),
    ] = False
    backbones: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="LIST",
            rich_help_panel="Measurement",
            help="Repeat, or use commas: camtui backbones.",
            autocompletion=completion.backbones,
        ),
    ] = None
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Repeat, or use commas: camtui methods.",
            autocompletion=completion.methods,
            rich_help_panel="Measurement",
            metavar="LIST",
        ),
    ] = None
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help=f"{', '.join(catalog.optional_metrics())} or all; the others always.",
            autocompletion=completion.optional_metrics,
            rich_help_panel="Measurement",
            metavar="LIST",
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            help="First N images of the seeded order.",
            rich_help_panel="Images",
            metavar="N",
        ),
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, mixed or bf16.  [default: fp32 on cpu, mixed on cuda]",
            rich_help_panel="Protocol",
            metavar="fp32|mixed|bf16",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of the order of images and of all noise.  [default: 0]",
            rich_help_panel="Protocol",
            metavar="N",
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            help="Class that is explained: predicted or label.  [default: predicted]",
            rich_help_panel="Protocol",
            metavar="predicted|label",
        ),
    ] = None
    resize: Annotated[
        int | None,
        typer.Option(
            help="224: each network's own short side before the crop; 256: 256/224 of its side.  "
            "[default: 224]",
            rich_help_panel="Protocol",
            metavar="PIXELS",
        ),
    ] = None
    side: Annotated[
        int | None,
        typer.Option(
            help="Height and width of the input.  [default: each network's own, as camtui show "
            "says]",
            rich_help_panel="Protocol",
            metavar="PIXELS",
        ),
    ] = None
    layer: Annotated[
        str | None,
        typer.Option(
            help="Target layer, by dotted name.  [default: the backbone's own]",
            rich_help_panel="Measurement",
            metavar="LAYER",
        ),
    ] = None
    weights: Annotated[
        str | None,
        typer.Option(
            help="FILE.safetensors, FILE.pth, FILE#PART or random:SEED.",
            rich_help_panel="Measurement",
            metavar="FILE|random:SEED",
        ),
    ] = None
    classes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Class names of your own network, one a line.  [default: the network's, or "
            "the folders']",
            rich_help_panel="Measurement",
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV of image,label for flat folders.", rich_help_panel="Images"
        ),
    ] = None
    curve_steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of deletion and insertion.  [default: 28]",
            rich_help_panel="Protocol",
            metavar="N",
        ),
    ] = None
    insertion_start: Annotated[
        str | None,
        typer.Option(
            help="zero, blur (as RISE does) or blur-torchvision.  [default: zero]",
            rich_help_panel="Protocol",
            metavar="zero|blur|…",
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Enough images: 'ci<=POINTS' (of ADCC, every cell), decided, or all.",
            rich_help_panel="Images",
        ),
    ] = None
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="With decided: differences that do not matter.  [default: 0.5]",
            rich_help_panel="Images",
        ),
    ] = None
    drop_decided: Annotated[
        bool,
        typer.Option(
            "--drop-decided",
            help="With decided: methods certainly worse are computed no further.",
            rich_help_panel="Images",
        ),
    ] = False
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE.json",
            help="Where the objects are: masks, VOC boxes or a COCO file.",
            rich_help_panel="Images",
        ),
    ] = None
    pointing_margin: Annotated[
        int | None,
        typer.Option(
            help="Around the object, in pointing_game.  [default: 15]",
            rich_help_panel="Protocol",
            metavar="PIXELS",
        ),
    ] = None
    road_removal: Annotated[
        str | None,
        typer.Option(
            help="How ROAD takes pixels out: rank, or released (by percentile).  [default: rank]",
            rich_help_panel="Protocol",
            metavar="rank|released",
        ),
    ] = None
    road_noise: Annotated[
        str | None,
        typer.Option(
            help="Where ROAD adds its noise: to pixels, or normalised, as earlier versions.  "
            "[default: pixels]",
            rich_help_panel="Protocol",
            metavar="pixels|normalised",
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.toml",
            help="A plan; options given here win.",
            rich_help_panel="Measurement",
        ),
    ] = None


class ResolvedPlan(NamedTuple):
    """A plan, and which code the user has named in asking for it.

    Attributes:
        named: texts of the references that were typed.
    """

    plan: RunPlan
    named: frozenset[str] = frozenset()


def default_name(typed: PlanOptions) -> str:
    """Return the name of a run from its data, so that the same command goes on with the same run.

    Raises:
        UsageError: there is neither a data folder nor a plan file.
    """
    if typed.demo:
        return "demo"
    if typed.config and not typed.data:
        return name_for(typed.config.stem)
    if typed.data is None:
        raise UsageError(
            "no images are named",
            "camtui run --data FOLDER -b resnet50 -m gradcam, or camtui run --demo",
        )
    folder = typed.data.expanduser().resolve()
    ordinary = folder.name.lower() in _GENERIC_FOLDERS and folder.parent.name
    return name_for(f"{folder.parent.name}-{folder.name}" if ordinary else folder.name)


T = TypeVar("T")


def _of_stored(database: Path, read: Callable[[RunReader], T], otherwise: T) -> T:
    """Return what is read of the run that is there already, or something else where none is."""
    from evaluator.store.reader import RunReader

    try:
        with RunReader(database) as reader:
            return read(reader)
    except (NotFound, StoreError):
        return otherwise  # the driver says what is wrong with the file, if anything is


def stored_plan(database: Path) -> RunPlan | None:
    """Return the plan of the run that is there already, ``None`` where there is none."""
    return _of_stored(database, lambda reader: reader.plan(), None)


def stored_listing(database: Path) -> Listing | None:
    """Return how the images of the run that is there were found, ``None`` where there is none."""
    return _of_stored(database, lambda reader: reader.listing(), None)


def begun_earlier(database: Path) -> bool:
    """Return whether an earlier version began the run that is there, with other words."""
    return _of_stored(database, lambda reader: reader.keeps_earlier_words(), False)


def make_plan(typed: PlanOptions, stored: RunPlan | None, *, cuda: bool) -> RunPlan:
    """Return the plan of ``resolve_plan``."""
    return resolve_plan(typed, stored, cuda=cuda).plan


def resolve_plan(
    typed: PlanOptions,
    stored: RunPlan | None,
    *,
    cuda: bool,
    allow_code: bool = False,
    earlier: bool = False,
) -> ResolvedPlan:
    """Return the plan that is asked for, validated as far as it can be without torch.

    Options win over the plan file, and that over the run that is there already; then come the
    defaults.

    Args:
        typed: the options.
        stored: the plan of the run that is there already.
        cuda: whether a GPU computes it.
        allow_code: whether code that only a plan file names may run.
        earlier: an earlier version began the stored run: the same words mean what they meant then,
            all but a ``--road-noise`` that is given.

    Raises:
        UsageError: something is missing, unknown or impossible.
        CodeNotAllowed: a plan file or a stored run names code that the user has not named.
    """
    values: dict[str, Any] = {"precision": usual_precision(cuda=cuda)}
    if stored is not None:
        inherited = stored.to_dict()
        anew = typed.data or typed.demo or typed.config
        values.update({key: inherited[key] for key in (_PROTOCOL if anew else inherited)})
        values.setdefault("methods", stored.methods)
        values.setdefault("backbones", inherited["backbones"])
    asked = {**(_read_config(typed.config) if typed.config else {}), **_given(typed)}
    if "until" in asked:  # another rule: the margin of the one before is not meant
        values = {key: value for key, value in values.items() if key not in _RULE}
    values.update(asked)
    if values.get("demo"):
        values["data"] = str(demo_root())
        values.setdefault("backbones", _demo_backbones())
        values.setdefault("methods", _demo_methods())
    values.setdefault("methods", list(catalog.TABLE2_METHODS))
    if not values.get("backbones"):
        raise UsageError(
            "no backbone is named", "for example -b resnet50; list them: camtui backbones"
        )
    resolver = _resolver(typed, stored, allow=allow_code)
    _resolve(values, resolver)
    plan = validated_plan(values)
    if stored is not None and earlier:
        plan = replace(as_begun(stored, plan), road_noise=plan.road_noise)
    plan = _with_common(plan, typed) if typed.layer or typed.weights or typed.classes else plan
    return ResolvedPlan(plan, frozenset(resolver.named))


def _resolver(typed: PlanOptions, stored: RunPlan | None, *, allow: bool) -> Resolver:
    """Return the resolver of names to code; code that was typed may run."""
    specs = [
        spec
        for given in (typed.methods, typed.metrics, typed.backbones)
        for spec in catalog.split_list(given or [])
    ]
    keys = [split_backbone(spec).key for spec in catalog.split_list(typed.backbones or [])]
    return Resolver(
        stored=stored.code if stored else (),
        typed=frozenset([*specs, *keys]),
        allow=allow,
    )


def _resolve(values: dict[str, Any], resolver: Resolver) -> None:
    """Put the name in the run in place of every reference."""
    for key, axis in (("methods", "method"), ("metrics", "metric")):
        if key in values and all(isinstance(spec, str) for spec in values[key]):
            values[key] = resolver.names(axis, values[key])  # type: ignore[arg-type]  # a tuple of literals is one of strings
    keys = [spec["key"] if isinstance(spec, dict) else spec for spec in values.get("backbones", ())]
    resolver.names("backbone", [key for key in keys if isinstance(key, str)])
    values["code"] = resolver.code()


def _given(typed: PlanOptions) -> dict[str, Any]:
    """Return the options as values of a plan."""
    if typed.demo and typed.data:
        raise UsageError("--demo and --data exclude each other", "leave one of them out")
    values: dict[str, Any] = {
        "seed": typed.seed,
        "target": typed.target,
        "resize": typed.resize,
        "precision": typed.precision,
        "curve_steps": typed.curve_steps,
        "insertion_start": typed.insertion_start,
        "limit": typed.limit,
        "truth": _absolute(typed.truth),
        "pointing_margin": typed.pointing_margin,
        "road_removal": typed.road_removal,
        "road_noise": typed.road_noise,
        "data": _absolute(typed.data),
        "labels": _absolute(typed.labels),
        "demo": typed.demo or None,
        "until": typed.until,
        "margin": typed.margin,
        "drop_decided": typed.drop_decided or None,
        "methods": catalog.expand_methods(catalog.split_list(typed.methods or [])) or None,
        "metrics": catalog.split_list(typed.metrics or []) or None,
    }
    given = {key: value for key, value in values.items() if value is not None}
    if typed.backbones:
        given["backbones"] = [
            _with_typed(parse_backbone(spec), typed)
            for spec in catalog.split_list(typed.backbones or [])
        ]
    return given


def _with_typed(spec: BackboneSpec, typed: PlanOptions) -> dict[str, Any]:
    """Return a backbone with ``--layer``, ``--weights`` and the like unless it names its own."""
    own = replace(
        spec,
        side=_side(typed) if spec.side is None else spec.side,
        layer=spec.layer or typed.layer,
        classes=spec.classes or _absolute(typed.classes),
        weights=typed.weights
        if typed.weights and spec.weights == DEFAULT_WEIGHTS
        else spec.weights,
    )
    return asdict(own)


def _side(typed: PlanOptions) -> int | None:
    side: int | None = None if typed.side is None else read_option("side", str(typed.side))
    return side


def _with_common(plan: RunPlan, typed: PlanOptions) -> RunPlan:
    """Apply ``--layer``, ``--weights`` and the like to backbones of a default or a file too."""
    if typed.backbones:
        return plan
    anew = [
        replace(backbone, weights=typed.weights or backbone.weights) for backbone in plan.backbones
    ]
    return validated_plan(
        {**plan.to_dict(), "backbones": [_with_typed(backbone, typed) for backbone in anew]}
    )


def _demo_backbones() -> list[str]:
    """Return the real networks that packages bring along, as far as they are installed."""
    here = [
        known.key for known in families()["efficientnet_lite"].names() if local_weights(known.key)
    ]
    return here or ["efficientnet_lite0"]


def _demo_methods() -> list[str]:
    """Return the methods of Table 2 and CAM without Score-CAM: three networks take a minute."""
    wanted = (*catalog.TABLE2_METHODS, "cam")
    return [key for key, kind in all_methods().items() if key in wanted and not kind.masks_channels]


def _absolute(path: Path | None) -> str | None:
    return str(path.expanduser().absolute()) if path else None


def _read_config(file: Path) -> dict[str, Any]:
    """Return the values of a plan file; paths in it are relative to the file."""
    try:
        with open(file, "rb") as stream:
            values = tomllib.load(stream)
    except OSError as error:
        raise UsageError(
            f"cannot read the plan {printable(file)}: {error.strerror}",
            "camtui run --config PLAN.toml",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{printable(file)} is not TOML: {error}", "camtui show RUN --config prints an example"
        ) from error
    folder = file.expanduser().absolute().parent
    for key in ("methods", "metrics"):
        if isinstance(values.get(key), list):
            values[key] = [_anchored(spec, folder) for spec in values[key]]
    if isinstance(values.get("backbones"), list):
        values["backbones"] = [_anchored_backbone(spec, folder) for spec in values["backbones"]]
    for key in ("data", "labels", "truth"):
        if isinstance(values.get(key), str):
            values[key] = str(folder / Path(values[key]).expanduser())
    return values


def _anchored_backbone(spec: Any, folder: Path) -> Any:
    """Return a backbone, which may be a table, with absolute paths."""
    if not isinstance(spec, dict):
        return _anchored(spec, folder)
    files = {
        key: str(folder / Path(spec[key]).expanduser())
        for key in ("weights", "classes")
        if _is_file(spec.get(key))
    }
    return {**spec, **files, "key": _anchored(spec.get("key"), folder)}


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value != DEFAULT_WEIGHTS and not value.startswith("random:")


def _anchored(spec: Any, folder: Path) -> Any:
    """Return a reference to a file with its absolute path; anything else as it is."""
    given = as_spec(spec, folder) if isinstance(spec, str) else None
    return spec if given is None else ":".join(filter(None, [given.reference.text, given.tail]))
