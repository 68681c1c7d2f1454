"""The JSON Schema of a .echo file, for editors. Written from the table that the reader reads by."""

from __future__ import annotations

from typing import Any

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
    }
