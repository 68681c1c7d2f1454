"""The JSON Schemas of .echo files, for editors. Written from the tables that the reader reads by."""

from __future__ import annotations

from typing import Any

from echostack.language.scenario_sections import SCENARIO_FILE, definitions
from echostack.language.sections import SECTIONS


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a .echo file.

    It accepts every file that reads without errors. What only the text of a rule or the whole graph can show is
    left to ``echostack check``.
    """
    shape = SECTIONS.schema()
    # A file with an interface is made to be imported, and may leave every rule to its importer.
    shape["anyOf"] = [{"required": ["pipeline"]}, {"required": ["interface"]}]
    shape["properties"]["pipeline"]["minItems"] = 1
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "EchoStack graph",
        "description": "A .echo file: which events flow between which connectors.",
        **shape,
        "$defs": definitions(),
    }


def scenarios_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a file of scenarios beside its graph; it accepts every one that reads."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "EchoStack scenarios",
        "description": "A .echo file of scenarios: who calls, what the connectors do, what must come of it.",
        **SCENARIO_FILE.schema(),
        "$defs": definitions(),
    }
