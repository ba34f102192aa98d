"""`python -m tools.schemas write|check`: the JSON Schemas of requests, answers and bus events, made from the code.

An event's schema is that of its `detail`; the file is named like its `detail-type`. The consumer's classes of the
events, `whatsapp/bus_events.py`, are made from these schemas.
"""

import json
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from whatsapp.domain import events
from whatsapp.domain.errors import Failure
from whatsapp.domain.events import EVENTS
from whatsapp.domain.sending.request import ContactLookup, ContactUpdate, SendAnswer, SendRequest

from local.artifacts import ROOT
from tools import bus_events
from tools.openapi import asyncapi, openapi

DIRECTORY = ROOT / "events" / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
REQUESTS: tuple[type[BaseModel], ...] = (SendRequest, ContactLookup, ContactUpdate)
ANSWERS: tuple[type[BaseModel], ...] = (SendAnswer,)
FAILURE = {
    "SendAnswer.json": ("ErrorFace", "Our own stable word for what went wrong, with Twilio's code beside it."),
    "message.status_changed.json": (
        "EventError",
        "Why a message failed, in our stable words, with Twilio's code beside them.",
    ),
}
"""The names that these schemas gave to `Failure` when they were published: code generated from them uses the names."""

for _described in (Failure, *(one for one in vars(events).values() if is_dataclass(one))):
    # What stands below a field is its description. Only here: in Lambda nobody reads it.
    _described.__pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # type: ignore[union-attr]  # pydantic's


class Plain(GenerateJsonSchema):
    """Without a title for each field; and what we say ourselves says every field, a null where there is nothing.

    A TypedDict says by itself what it may leave out.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class asks with it
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        says_all = self.mode == "serialization" and field["type"] != "typed-dict-field"
        return says_all or super().field_is_required(field, total)


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema, by the name of its file."""
    made = {f"{model.__name__}.json": model.model_json_schema(schema_generator=Plain) for model in REQUESTS}
    said = {f"{model.__name__}.json": TypeAdapter[Any](model) for model in ANSWERS}
    said |= {f"{event.detail_type}.json": TypeAdapter[Any](event) for event in EVENTS}
    made |= {name: what.json_schema(mode="serialization", schema_generator=Plain) for name, what in said.items()}
    return {name: {"$schema": DRAFT, **_as_published(name, schema)} for name, schema in made.items()}


def documents() -> dict[str, dict[str, Any]]:
    """Every file of the directory: the schemas, and the two documents that join them."""
    made = schemas()
    return made | {"openapi.json": openapi(Plain), "asyncapi.json": asyncapi(made)}


def _as_published(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if name not in FAILURE:
        return schema
    title, description = FAILURE[name]
    renamed: dict[str, Any] = json.loads(json.dumps(schema).replace('"#/$defs/Failure"', f'"#/$defs/{title}"'))
    failure = renamed["$defs"].pop("Failure")
    renamed["$defs"] = {title: {**failure, "description": description, "title": title}, **renamed["$defs"]}
    return renamed


def text_of(schema: dict[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def stale(directory: Path = DIRECTORY) -> list[str]:
    """The names of the files that are missing or say something else than the code."""
    files = ((name, directory / name, text_of(schema)) for name, schema in documents().items())
    return [name for name, file, text in files if not file.exists() or file.read_text() != text]


def main(arguments: list[str]) -> int:
    """Write the files, or say which are out of date; its exit status."""
    if arguments == ["write"]:
        for name, schema in documents().items():
            (DIRECTORY / name).write_text(text_of(schema))
        bus_events.FILE.write_text(bus_events.text_of(schemas()))
        return 0
    if arguments == ["check"]:
        late = [f"events/schemas/{name}" for name in stale()]
        late += [] if bus_events.FILE.read_text() == bus_events.text_of(schemas()) else [bus_events.FILE.name]
        for name in late:
            print(f"{name} is out of date: run `python -m tools.schemas write`", file=sys.stderr)
        return 1 if late else 0
    print("usage: python -m tools.schemas write|check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
