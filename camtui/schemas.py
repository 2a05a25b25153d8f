"""JSON Schemas of the payloads, made from their types."""

from __future__ import annotations

from dataclasses import fields
from inspect import getdoc
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from camtui import payloads
from camtui.judging import Judgement

if TYPE_CHECKING:
    from camtui.compare import Comparison
    from camtui.paper import ClaimHere
    from camtui.ranks import ProtocolRun, Ranking
    from camtui.status import RunStatus


class ComparisonsPayload(TypedDict, closed=True):
    """camtui compare RUN RUN --json."""

    schema_version: Literal[1]
    comparisons: list[Comparison]


class JudgementsPayload(TypedDict, closed=True):
    """camtui judge RUN --json."""

    schema_version: Literal[1]
    run: payloads.RunPayload
    draws: Annotated[int, Field(ge=1, description="of the bootstrap over images")]
    seed: payloads.Count
    backbones: list[Judgement]


class PaperComparisonPayload(TypedDict, closed=True):
    """camtui compare RUN --paper --json."""

    schema_version: Literal[1]
    run: payloads.RunPayload
    differs_in: Annotated[
        list[Literal["weights", "protocol", "number of images"]],
        Field(description="what is not the paper's"),
    ]
    deviations: list[str]
    open_choices: list[str]
    cells: list[payloads.PaperCellPayload]
    claims: list[ClaimHere]


class RanksPayload(TypedDict, closed=True):
    """camtui ranks RUN RUN --json."""

    schema_version: Literal[1]
    runs: list[ProtocolRun]
    rankings: list[Ranking]


PAYLOADS: dict[str, Any] = {
    "backbones": payloads.BackbonesPayload,
    "backbones-check": payloads.BackboneCheckPayload,
    "bench": payloads.BenchPayload,
    "cell": payloads.CellPayload,
    "check": payloads.CheckPayload,
    "check-against": payloads.AgainstPayload,
    "compare": ComparisonsPayload,
    "compare-paper": PaperComparisonPayload,
    "doctor": payloads.MachinePayload,
    "doctor-run": payloads.RunCheckPayload,
    "dry-run": payloads.DryRunPayload,
    "error": payloads.ErrorPayload,
    "errors": payloads.FailuresPayload,
    "event": payloads.EventPayload,
    "handoff": payloads.HandoffPayload,
    "image": payloads.ImagePayload,
    "images": payloads.ImagesPayload,
    "judge": JudgementsPayload,
    "ls": payloads.RunsPayload,
    "methods": payloads.MethodsPayload,
    "metrics": payloads.MetricsPayload,
    "new": payloads.NewFilesPayload,
    "ranks": RanksPayload,
    "show": payloads.ShownRunPayload,
    "status": Annotated[
        "RunStatus",
        "camtui status RUN --json, camtui wait RUN --json, and the last line of camtui run --json",
    ],
    "summary": payloads.SummaryPayload,
    "verify": payloads.VerifyPayload,
    "worst": payloads.WorstPayload,
}
"""Name of a schema → type of the payload."""


_RECORDS = {
    "compare": ("camtui.compare:Comparison",),
    "compare-paper": ("camtui.paper:ClaimHere",),
    "ranks": ("camtui.ranks:ProtocolRun", "camtui.ranks:Ranking"),
    "status": ("camtui.status:RunStatus",),
}
"""Records that are imported only for the schema that asks for them."""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator for what is printed: a record has all of its fields, and no other key.

    No title for each property, which only repeats its name.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return ``False``."""
        return False

    def normalize_name(self, name: str) -> str:
        """Return the name of a definition: that of its type, and ``Payload``."""
        return f"{super().normalize_name(name).removesuffix('Payload')}Payload"

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema without the default: nothing is ever left out."""
        return self.generate_inner(schema["schema"])

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a record; its description is the first line of its documentation."""
        made = super().dataclass_schema(schema)
        name = self.normalize_name(schema["cls"].__name__)
        about = str(getdoc(schema["cls"])).splitlines()[0]
        keys = [field.name for field in fields(schema["cls"])]
        made["properties"] = {key: made["properties"][key] for key in keys}
        every = {"required": keys, "additionalProperties": False}
        return made | every | {"title": name, "description": about}


def title(name: str) -> str:
    """Return which command prints the payload: by what stands beside its type, or in it."""
    about, *_ = getattr(PAYLOADS[name], "__metadata__", (PAYLOADS[name].__doc__,))
    return str(about).splitlines()[0].removesuffix(".")


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a payload."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"camtui/{name}.schema.json",
        "title": title(name),
    }
    records = [resolve_name(place) for place in _RECORDS.get(name, ())]
    known = {**vars(payloads), **{record.__name__: record for record in records}}
    adapter = TypeAdapter(PAYLOADS[name])
    adapter.rebuild(_types_namespace=known)  # what annotations name, but no import
    made = adapter.json_schema(schema_generator=_Generator)
    return head | {key: value for key, value in made.items() if key not in ("title", "description")}
