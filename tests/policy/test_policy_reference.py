"""The reference is made from the code, is current, and its examples are valid."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from mailgate.model.part_class import PartClass
from mailgate.policy import reference
from mailgate.policy.evaluate import PRECEDENCE
from mailgate.policy.schema import AttachmentRule, GatewayPolicy, Section, TenantPolicy

DOCUMENT = Path(__file__).parents[2] / "docs" / "policies.md"


def test_document_is_current() -> None:
    """Where this fails: `mailgate policy reference > docs/policies.md`."""
    assert DOCUMENT.read_text() == reference.markdown()


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", reference.markdown(), re.DOTALL))
def test_examples_are_valid(example: str) -> None:
    TenantPolicy.model_validate(tomllib.loads(example))


def test_precedence_is_told_in_the_order_of_the_code() -> None:
    text = reference.markdown()
    places = [text.index(f"{number}. {step.text}") for number, step in enumerate(PRECEDENCE, 1)]
    assert places == sorted(places)


def _sections(schema: type[Section]) -> list[type[Section]]:
    below = [field.annotation for field in schema.model_fields.values()]
    return [schema, *(part for part in below if isinstance(part, type) and issubclass(part, Section))]


@pytest.mark.parametrize("section", [*_sections(GatewayPolicy), *_sections(TenantPolicy)[1:], AttachmentRule])
def test_every_key_is_described(section: type[Section]) -> None:
    assert section.__doc__
    for name, field in section.model_fields.items():
        is_table = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        assert is_table or field.description, name
        is_section = is_table or name in ("attachments", "defects", "routes")
        assert is_section or f"`{field.alias or name}`" in reference.markdown()


def test_every_class_of_parts_is_named() -> None:
    described = AttachmentRule.model_fields["classes"].description or ""
    assert set(re.findall("`(.*?)`", described)) == set(PartClass)


def test_json_schema() -> None:
    schema = json.loads(json.dumps(reference.json_schema()))
    assert {"GatewayPolicy", "TenantPolicy"} <= schema["$defs"].keys()
    rule = schema["$defs"]["AttachmentRule"]
    assert rule["required"] == ["name", "action"]
    assert rule["additionalProperties"] is False
    assert {option.get("type", "$ref") for option in rule["properties"]["class"]["anyOf"]} == {"$ref", "array"}
