"""Writing to the terminal: data as JSON that survives any encoding, and rich output where a person reads it."""

from __future__ import annotations

import errno
import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def print_json(data: Any, file: TextIO | None = None) -> None:
    """``data`` as indented JSON with an end of line; characters that the stream cannot encode are escaped."""
    file = file or sys.stdout
    print(json.dumps(data, indent=2, ensure_ascii=not encodes_all(file)), file=file)


def encodes_all(file: TextIO) -> bool:
    """Whether the stream can carry every character."""
    return (getattr(file, "encoding", None) or "").lower().replace("-", "").startswith("utf")


def console(*, stderr: bool = False) -> Console:
    """A console for tables and live views: in colour on a terminal, plain in a pipe, never interpreting markup."""
    from rich.console import Console

    class Piped(Console):
        """Where nobody reads any more it says so, where rich would end the process from within."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")

    # In a pipe there is no width to fit into, and a line that is broken cannot be searched for.
    stream = sys.stderr if stderr else sys.stdout
    return Piped(
        stderr=stderr,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if stream.isatty() else 160,
        soft_wrap=False,
    )


def columns() -> int:
    """How wide the terminal is, in characters; 100 where there is none."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns
