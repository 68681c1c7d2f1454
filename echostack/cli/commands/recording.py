"""``echostack recording``: what is done with a recording besides replaying it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Share a recording, or open it elsewhere.", no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[Path, typer.Argument(metavar="REC", help="The folder of a recording.", show_default=False)]


@app.command("redact")
def redact(
    recording: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The new recording.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a recording that is there.")] = False,
) -> None:
    """Copy a recording without its words, numbers and voices, to be shared."""
    from echostack.recording import Recording, redact

    made = redact(Recording.open(recording), out, overwrite=overwrite)
    print(f"recording: {made}")


@app.command("export")
def export(
    recording: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The JSON file.", show_default=False)],
) -> None:
    """Write a recording as a trace that ui.perfetto.dev opens: the call as a waterfall."""
    from echostack.recording import Recording
    from echostack.recording.export import to_chrome_trace

    count = to_chrome_trace(Recording.open(recording), out)
    print(f"trace: {out}, {count:,} events")
