"""From a file on disk to a Source, and from places in its text to spans.

A Source's text is what the file says: decoded, without a byte-order mark, line ends untouched. A line ends at a
line feed; the carriage return before one belongs to the line end.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from pathlib import Path

from echostack.core.diagnostic import Diagnostic
from echostack.core.errors import InvalidFile, UsageError
from echostack.core.span import Source, Span
from echostack.language import codes

MAX_BYTES = 1_048_576
"""The largest file that is read: 1 MiB."""


def read_source(path: str | os.PathLike[str]) -> Source:
    """The text of the file at ``path``, under the name that the caller gave it.

    UsageError when there is no such file or it cannot be read; InvalidFile when it is larger than 1 MiB or is
    not UTF-8.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            # One byte more than may be: enough to know, whatever the file's size is or claims to be.
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{name} is a folder: name the .echo file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be read: {reason}") from None
    return decode_source(raw, name)


def decode_source(raw: bytes, file: str) -> Source:
    """``raw`` as the text of ``file``. InvalidFile when it is larger than 1 MiB or is not UTF-8."""
    start = Span(file, 1, 1, 1, 1)
    if len(raw) > MAX_BYTES:
        raise InvalidFile(
            [
                Diagnostic(
                    codes.TOO_LARGE,
                    f"the file is larger than {MAX_BYTES:,} bytes",
                    start,
                    help="split it: a part that stands on its own goes into a file under `imports:`",
                )
            ],
            {file: Source(file, "")},
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidFile([_not_utf8("the file is UTF-16, not UTF-8", start)], {file: Source(file, "")})
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        place = Span(file, line, column, line, column + 1)
        shown = Source(file, raw.decode("utf-8-sig", "replace"))
        message = f"byte {raw[error.start]:#04x} at offset {error.start} is not UTF-8"
        raise InvalidFile([_not_utf8(message, place)], {file: shown}) from None
    return Source(file, text)


def _not_utf8(message: str, place: Span) -> Diagnostic:
    return Diagnostic(codes.NOT_UTF8, message, place, help="save the file as UTF-8")


class Places:
    """Turns offsets into the text of one Source into spans."""

    def __init__(self, source: Source) -> None:
        self.file = source.file
        self.text = source.text
        starts, at = [0], source.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = source.text.find("\n", at + 1)
        self._starts = starts

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of ``offset``, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_start(self, line: int) -> int:
        """The offset at which line ``line`` (from 1) begins."""
        return self._starts[line - 1]

    def span(self, start: int, end: int) -> Span:
        """The range from offset ``start`` up to, not including, ``end``."""
        size = len(self.text)
        start = min(max(start, 0), size)
        end = min(max(end, start), size)
        return Span(self.file, *self.line_column(start), *self.line_column(end))
