"""``echostack fmt``: rewrite files in the one canonical style."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from echostack.core.span import Source

STDIN = "-"


def fmt(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="The .echo files; - for stdin to stdout.", show_default=False),
    ],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if anything would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
) -> None:
    """Bring .echo files into the canonical style: comments stay, and what the file means never changes."""
    from echostack.cli.guard import FINDINGS, tell
    from echostack.core.errors import EchoStackError
    from echostack.language import format_text

    status = changed = 0
    for file in files:
        try:
            source = _read(file)
            text = format_text(source.text, source.file)
        except EchoStackError as error:  # one bad file does not keep the others from being formatted
            status = max(status, tell(error))
            continue
        differs = text != source.text
        changed += differs
        if diff and differs:
            _show_difference(source.file, source.text, text)
        elif check and differs:
            print(f"would reformat {source.file}")
        elif str(file) == STDIN and not (check or diff):
            sys.stdout.write(text)
        elif differs and not (check or diff):
            from echostack.cli.files import replace_text

            replace_text(file, text)
            print(f"reformatted {source.file}", file=sys.stderr)
    if (check or diff) and changed:
        status = max(status, FINDINGS)
    if status:
        raise typer.Exit(status)


def _read(file: Path) -> Source:
    from echostack.language import decode_source, read_source

    return decode_source(sys.stdin.buffer.read(), "<stdin>") if str(file) == STDIN else read_source(file)


def _show_difference(file: str, before: str, after: str) -> None:
    import difflib

    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), file, f"{file} (formatted)"
    )
    for line in lines:
        sys.stdout.write(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
