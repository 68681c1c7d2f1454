"""``echostack schema``."""

from __future__ import annotations

from typing import Annotated

import typer


def schema(
    scenarios: Annotated[
        bool, typer.Option("--scenarios", help="The schema of a file of scenarios beside its graph.")
    ] = False,
) -> None:
    """Print the JSON Schema of a .echo file, for editors and validators."""
    from echostack.cli.output import print_json
    from echostack.language import json_schema, scenarios_schema

    print_json(scenarios_schema() if scenarios else json_schema())
