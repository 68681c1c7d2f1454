"""``echostack schema``."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of a .echo file, for editors and validators."""
    from echostack.cli.output import print_json
    from echostack.language import json_schema

    print_json(json_schema())
