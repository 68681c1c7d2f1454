"""``echostack providers``: local servers in the place of the real providers, and a caller to try them with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from echostack.providers.faults import Fault

app = typer.Typer(
    help="Run files for real providers without keys: local servers that speak their protocols.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_COMMAND = "echostack.command"


class AroundCommand(TyperCommand):
    """A command that takes another one behind ``--``, as it stands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[_COMMAND] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, args)


@app.command(
    "up", cls=AroundCommand, options_metavar="[OPTIONS]", epilog="Behind -- stands a command to run with them."
)
def up(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="livekit, deepgram, anthropic, openai, elevenlabs, llama."),
    ] = None,
    env: Annotated[
        Path | None,
        typer.Option("--env", metavar="FILE", help="Write the variables there, for `. FILE`.", show_default=False),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME=FAULT", help="Have something go wrong: deepgram=cut,after=3."),
    ] = None,
    replies: Annotated[
        str | None,
        typer.Option("--replies", metavar="FILE|small", help="What the models answer.", show_default=False),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Print what the servers see.")] = False,
    port_base: Annotated[
        int, typer.Option("--port-base", metavar="PORT", help="The first of fixed ports; free ones without.")
    ] = 0,
) -> None:
    """Start local servers, print their addresses and the variables that lead to them, and run until Ctrl-C."""
    from echostack.cli.serving import serve, watching
    from echostack.core.errors import UsageError
    from echostack.providers.local import Local, check_name

    command = ctx.meta.get(_COMMAND)
    if command == []:
        raise UsageError("-- takes a command to run, such as -- echostack run manifest.json")
    for name in names or ():
        check_name(name)
    faults = faults_of(fault)
    tell = watching(sys.stderr if command else sys.stdout) if watch else None

    def make() -> Local:
        return Local(names or (), brain=brain_of(replies), faults=faults, port_base=port_base, tell=tell)

    status = serve(make, command or (), env=env, out=sys.stdout)
    raise typer.Exit(status)


def faults_of(given: list[str] | None) -> dict[str, list[Fault]]:
    """``NAME=FAULT`` arguments by the server's name. UsageError."""
    from echostack.core.errors import UsageError
    from echostack.providers.faults import Fault
    from echostack.providers.local import check_name

    found: dict[str, list[Fault]] = {}
    for one in given or ():
        name, equals, text = one.partition("=")
        if not equals or not text:
            raise UsageError(f"--fault {one}: it takes NAME=FAULT, such as --fault deepgram=cut,after=3")
        check_name(name)
        try:
            found.setdefault(name, []).append(Fault.parse(text))
        except ValueError as error:
            raise UsageError(f"--fault {one}: {error}") from None
    return found


def brain_of(replies: str | None) -> Any:
    """What the models answer with: a script of its own, a file's, or the embedded small model."""
    from echostack.providers.replies import ScriptedReplies, read_replies

    if replies is None:
        return ScriptedReplies()
    if replies == "small":
        from echostack.providers.small_model import SmallModel

        return SmallModel(reuse=True)
    return read_replies(Path(replies))


@app.command("call")
def call(
    say: Annotated[
        list[str] | None,
        typer.Option("--say", metavar="TEXT", help="A turn of the caller, in the embedded voice (repeatable)."),
    ] = None,
    wav: Annotated[
        list[Path] | None,
        typer.Option("--wav", metavar="FILE", help="A turn of the caller out of a recording (repeatable)."),
    ] = None,
    interrupt_after: Annotated[
        str,
        typer.Option("--interrupt-after", metavar="DURATION", help="Say each further turn so long into the reply."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="WAV", help="Write what is heard there.", show_default=False)
    ] = None,
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="The room; LIVEKIT_ROOM without.", show_default=False)
    ] = None,
    wait: Annotated[str, typer.Option("--wait", metavar="DURATION", help="How long to wait for the agent.")] = "20s",
    json: Annotated[bool, typer.Option("--json", help="Print the times as JSON.")] = False,
) -> None:
    """Call the agent of a LiveKit room: say each turn when the agent has answered the one before, listen, hang up.

    LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET say where, as `providers up` prints them.
    """
    from echostack.cli.output import print_json
    from echostack.cli.ringing import Asked, ring
    from echostack.core.errors import UsageError

    turns: list[str | Path] = [*(wav or ()), *(say or ())]
    if not turns:
        raise UsageError("a caller has something to say: --say TEXT or --wav FILE")
    asked = Asked(
        turns=tuple(turns),
        room=room,
        interrupt_after=seconds_of("--interrupt-after", interrupt_after) if interrupt_after else None,
        wait=seconds_of("--wait", wait),
        out=out,
    )
    told, status = ring(asked)
    if json:
        print_json([line.data() for line in told])
    else:
        for line in told:
            print(line)
        if out is not None:
            print(f"heard: {out}")
    raise typer.Exit(status)


def seconds_of(option: str, text: str) -> float:
    """A duration as the language writes it, in seconds. UsageError."""
    from echostack.core.errors import UsageError
    from echostack.language import parse_duration

    seconds = parse_duration(text)
    if seconds is None:
        raise UsageError(f"{option} {text}: it takes a duration, such as 2s or 300ms")
    return seconds
