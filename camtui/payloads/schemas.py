"""JSON Schemas of the payloads, made from their types."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from camtui.payloads import catalog, comparisons, judgements, results, runs

PAYLOADS: dict[str, Any] = {
    "backbones": catalog.BackbonesPayload,
    "backbones-check": catalog.BackboneCheckPayload,
    "bench": catalog.BenchPayload,
    "cell": results.CellPayload,
    "check": catalog.CheckPayload,
    "compare": comparisons.ComparisonsPayload,
    "compare-paper": comparisons.PaperComparisonPayload,
    "doctor": runs.MachinePayload,
    "doctor-run": runs.RunCheckPayload,
    "dry-run": runs.DryRunPayload,
    "error": runs.ErrorPayload,
    "errors": results.FailuresPayload,
    "event": runs.EventPayload,
    "handoff": runs.HandoffPayload,
    "image": results.ImagePayload,
    "images": results.ImagesPayload,
    "judge": judgements.JudgementsPayload,
    "ls": runs.RunsPayload,
    "methods": catalog.MethodsPayload,
    "metrics": catalog.MetricsPayload,
    "new": catalog.NewFilesPayload,
    "show": runs.ShownRunPayload,
    "status": runs.StatusPayload,
    "summary": results.SummaryPayload,
    "worst": results.WorstPayload,
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
