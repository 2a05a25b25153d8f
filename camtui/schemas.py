"""JSON Schemas of the payloads, made from their types."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from camtui import payloads

PAYLOADS: dict[str, Any] = {
    "backbones": payloads.BackbonesPayload,
    "backbones-check": payloads.BackboneCheckPayload,
    "bench": payloads.BenchPayload,
    "cell": payloads.CellPayload,
    "check": payloads.CheckPayload,
    "compare": payloads.ComparisonsPayload,
    "compare-paper": payloads.PaperComparisonPayload,
    "doctor": payloads.MachinePayload,
    "doctor-run": payloads.RunCheckPayload,
    "dry-run": payloads.DryRunPayload,
    "error": payloads.ErrorPayload,
    "errors": payloads.FailuresPayload,
    "event": payloads.EventPayload,
    "handoff": payloads.HandoffPayload,
    "image": payloads.ImagePayload,
    "images": payloads.ImagesPayload,
    "judge": payloads.JudgementsPayload,
    "ls": payloads.RunsPayload,
    "methods": payloads.MethodsPayload,
    "metrics": payloads.MetricsPayload,
    "new": payloads.NewFilesPayload,
    "show": payloads.ShownRunPayload,
    "status": payloads.StatusPayload,
    "summary": payloads.SummaryPayload,
    "worst": payloads.WorstPayload,
}
"""Name of a schema → type of the payload."""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator without a title for each property, which only repeats its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return ``False``."""
        return False


def title(name: str) -> str:
    """Return which command prints the payload: the first line of its type's documentation."""
    return str(PAYLOADS[name].__doc__).splitlines()[0].removesuffix(".")


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a payload."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"camtui/{name}.schema.json",
        "title": title(name),
    }
    made = TypeAdapter(PAYLOADS[name]).json_schema(schema_generator=_Generator)
    return head | {key: value for key, value in made.items() if key not in ("title", "description")}
