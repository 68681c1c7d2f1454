"""A `.echo` file: its text, its spans, its arrows. From characters to a Document, and back in one canonical style."""

from echostack.language.codes import CODES
from echostack.language.reader import read_document
from echostack.language.source import MAX_BYTES, decode_source, read_source

__all__ = ["CODES", "MAX_BYTES", "decode_source", "read_document", "read_source"]
