"""``echostack explain-code``: the page about one finding."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def explain_code(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Such as E0203.", show_default=False)],
) -> None:
    """Print the page about a finding's code: what it means, a file that shows it, how to mend it."""
    text = page(code)
    if sys.stdout.isatty():
        from rich.markdown import Markdown

        from echostack.cli.output import console

        console().print(Markdown(text))
    else:
        print(text, end="")


def page(code: str) -> str:
    """The page about ``code`` (in either case), as Markdown. UsageError with the nearest codes when there is none."""
    from echostack.core.diagnostic import did_you_mean
    from echostack.core.errors import UsageError
    from echostack.resources import folder

    pages = {entry.name[:-3]: entry for entry in folder("diagnostics").iterdir() if entry.name[1:5].isdigit()}
    name = code.strip().upper()
    if name not in pages:
        near = did_you_mean(name, pages)
        hint = f": did you mean {' or '.join(near)}?" if near else ": codes look like E0203, and stand in every message"
        raise UsageError(f"there is no finding {code!r}{hint}")
    return pages[name].read_text(encoding="utf-8")
