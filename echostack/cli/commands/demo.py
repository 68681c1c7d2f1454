"""``echostack demo``: a call that shows what there is to see, from nothing but the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where everything goes.")] = Path(
        "demo-out"
    ),
    fast: Annotated[
        bool, typer.Option("--fast/--realtime", help="On virtual time, as fast as the machine can; or as a call goes.")
    ] = False,
) -> None:
    """Call a shipped file: a caller asks, interrupts the answer, and hangs up. No keys, no network.

    Writes what was said on both sides as WAV, the transcript, every event, and the picture of the file.
    """
    from importlib.resources import as_file

    from echostack import api
    from echostack.cli.call_lines import CallLines
    from echostack.cli.calling import conduct, log_to_stderr, transcript_lines
    from echostack.cli.commands.run import finish
    from echostack.cli.scripted_caller import Cue, ScriptedCaller
    from echostack.cli.transports import with_files, with_program
    from echostack.connectors.piper_voice import shared_voice
    from echostack.core.errors import UsageError
    from echostack.render import picture, save
    from echostack.resources import folder

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: this is a file; name a folder")
    log_to_stderr(False)
    shared_voice("joe").load()  # before anything else, to say at once which package is missing
    out.mkdir(parents=True, exist_ok=True)
    caller, agent, transcript = out / "caller.wav", out / "agent.wav", out / "transcript.txt"
    with as_file(folder("examples") / "front_desk.echo") as file:
        graph = with_program(with_files(api.load(file), None, agent), "caller")
    pipeline = api.compile(graph)
    print(f"{pipeline.plan.name}: {pipeline.graph.description}")
    lines = CallLines()
    script = (
        Cue("Hello. What are your opening hours?", 0.8),
        Cue("Sorry, how much is lunch?", 2.0, into=True),
        Cue("Thank you very much.", 1.0),
    )
    frames = ScriptedCaller(script, lines, caller).frames()
    outcome = conduct(pipeline, fast=fast, trace=out / "trace.jsonl", lines=lines, ingress={"caller": frames})
    transcript.write_text("\n".join([*transcript_lines(outcome.conversation), ""]), encoding="utf-8")
    drawn = save(picture(pipeline.plan.checked, plan=pipeline.plan), out / "graph.svg")
    outcome.files = {
        "the caller": str(caller), "the agent": str(agent), "transcript": str(transcript), **outcome.files,
        "picture": str(drawn),
    }  # fmt: skip
    print()
    finish(outcome, json=False)
