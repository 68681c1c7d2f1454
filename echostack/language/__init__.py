"""A `.echo` file: its text, its spans, its arrows. From characters to a Document, and back in one canonical style."""

from echostack.language.codes import CODES
from echostack.language.durations import format_duration, parse_duration
from echostack.language.format import format_text
from echostack.language.printing import guard_text, rule_text
from echostack.language.reader import read_document
from echostack.language.scenario_file import read_file, read_scenarios
from echostack.language.schema import json_schema, scenarios_schema
from echostack.language.source import MAX_BYTES, decode_source, read_source

__all__ = [
    "CODES",
    "MAX_BYTES",
    "decode_source",
    "format_duration",
    "format_text",
    "guard_text",
    "json_schema",
    "parse_duration",
    "read_document",
    "read_file",
    "read_scenarios",
    "read_source",
    "rule_text",
    "scenarios_schema",
]
