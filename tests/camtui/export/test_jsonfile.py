"""JSON as its published schemas say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from camtui.schemas import schema_of
from evaluator.store.reader import RunReader
from tests.camtui.export.support import ODD, per_image, written


def schema(name: str) -> Any:
    return schema_of(name)


@pytest.mark.parametrize(
    ("name", "form", "request_"),
    [
        ("summary", "json", {}),
        ("cell", "jsonl", {}),
        ("images", "json", {"per_image": True}),
        ("image", "jsonl", {"per_image": True}),
    ],
)
def test_json_is_what_its_schema_says(
    reader: RunReader, name: str, form: str, request_: dict[str, Any]
) -> None:
    data = written(reader, form, **request_)
    documents = (
        [json.loads(data)] if form == "json" else [json.loads(line) for line in data.splitlines()]
    )
    validator = jsonschema.Draft202012Validator(schema(name))
    validator.check_schema(schema(name))
    for document in documents:
        validator.validate(document)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**documents[0], "surprise": "no metric"})


def test_summary_json_has_the_published_shape(reader: RunReader) -> None:
    document = json.loads(written(reader, "json"))
    assert document["schema_version"] == 1
    first = document["cells"][0]
    assert (first["backbone"], first["method"], first["n"]) == ("resnet18", "fakecam", 39)
    assert set(first["adcc"]) == {"mean", "se", "n"}
    assert document["run"]["plan"]["seed"] == 0


def test_names_in_json_are_readable_and_reversible(reader: RunReader) -> None:
    names = {}
    for record in per_image(reader, "jsonl"):
        raw = (
            bytes.fromhex(record["image_hex"])
            if "image_hex" in record
            else record["image"].encode()
        )
        names[raw] = record["image"]
        assert record["image"].isprintable()
    assert set(ODD) <= set(names)
    assert names[b"@x\xff.png"] == "@x\\xff.png"
