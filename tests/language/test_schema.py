"""The JSON Schema says what the reader does, and the committed copy is the one that the code writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from echostack.language import json_schema
from tests.language.strategies import read
from tests.language.test_document import FULL
from tests.language.test_malformed import FOLDER, INDEX

VALIDATOR = Draft202012Validator(json_schema())
# Codes of mistakes that the data shows by itself; the rest stand in the text of rules or in what YAML made of them.
SHOWN = frozenset(
    (
        "E0114",
        "E0120",
        "E0121",
        "E0122",
        "E0123",
        "E0125",
        "E0126",
        "E0127",
        "E0128",
        "E0129",
        "E0130",
        "E0145",
        "E0147",
    )
)


def load(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_committed_copy_is_current(checkout: Path) -> None:
    copy = (checkout / "docs" / "echo.schema.json").read_text(encoding="utf-8")
    assert copy == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def test_a_full_file_fits() -> None:
    assert not read(FULL)[1].items
    VALIDATOR.validate(load(FULL))


@pytest.mark.parametrize("said", ["off", "on", "true", "{}", "{min_speech: 250ms}", "{min_speech: 0.25}"])
def test_forms_of_barge_in_fit(said: str) -> None:
    text = f"barge_in: {said}\npipeline: [a -> b]\n"
    assert not read(text)[1].items
    VALIDATOR.validate(load(text))


@pytest.mark.parametrize("name", [n for n in sorted(INDEX) if INDEX[n].split(" ")[0] in SHOWN])
def test_what_the_reader_refuses_in_the_data_the_schema_refuses(name: str) -> None:
    data = load((FOLDER / name).read_text(encoding="utf-8"))
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize("name", [n for n in sorted(INDEX) if INDEX[n].startswith("W")])
def test_what_only_earns_a_warning_fits(name: str) -> None:
    if "merge" not in name:
        assert VALIDATOR.is_valid(load((FOLDER / name).read_text(encoding="utf-8")))
