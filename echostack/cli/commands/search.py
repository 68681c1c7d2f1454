"""``echostack search``: a scenario varied at every instant, in search of what no call may do."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from echostack.cli.commands.test import Real
from echostack.cli.options import File, Plugins


class Kinds(StrEnum):
    """What is varied; the search's own kinds, which are not imported before the command runs."""

    INTERRUPT = "interrupt"
    HANG_UP = "hang-up"
    SILENCE = "silence"
    NOISE = "noise"
    KEYS = "keys"
    WAIT = "wait"
    FAULT = "fault"
    DELAY = "delay"
    ORDER = "order"


def search(
    file: File,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario", "-s", metavar="NAME", help="The scenario that is varied; needless where there is one.",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, max=10_000_000, help="How many calls.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of what is varied by chance.")] = 0,
    processes: Annotated[
        int | None,
        typer.Option("-j", metavar="N", min=1, max=256, help="Work in N processes; one a core without.",
                     show_default=False),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time", metavar="TIME", help="End after so long, as 90s or 5m, with what there is.", show_default=False
        ),
    ] = None,
    only: Annotated[
        list[Kinds] | None,
        typer.Option(
            "--only", metavar="KIND", show_default=False,
            help=f"Vary nothing else (repeatable): {', '.join(Kinds)}.",
        ),
    ] = None,
    first: Annotated[bool, typer.Option("-x", help="Stop at the first violation.")] = False,
    expect: Annotated[
        bool, typer.Option("--expect", help="Judge the scenario's own expectations, too; they are to hold always.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where what is found is saved; beside FILE without.",
                     show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
    real: Real = None,
    plugin: Plugins = None,
) -> None:  # fmt: skip
    """Vary a scenario at every instant, and hold every call against what no call may do.

    The caller interrupts, coughs, falls silent, hangs up; nodes fail, die, repeat themselves, take long; what may
    happen in any order happens in any. Whatever is done, nothing stale may be heard, stored or done, every call must
    end, the conversation must be what was heard, and the books of every queue must balance. What is found is made as
    small as it can be, and saved as a scenario that does it again.
    """
    from echostack.cli.guard import FINDINGS, INTERRUPTED
    from echostack.cli.output import print_json
    from echostack.cli.search_report import Progress, data, report
    from echostack.simulation.search.run import Search
    from echostack.simulation.search.run import search as run_search
    from echostack.testing.searching import Found, Opening, graph_file, place_of, saved, smallest

    limit = _seconds(time) if time is not None else None
    here = (str(Path.cwd()),) if plugin else ()
    opening = Opening(file, scenario, tuple(plugin or ()), tuple(real or ()), expect, here)
    subject = opening()
    folder = out if out is not None else file.parent
    place_of(folder, graph_file(file))
    wanted = Search(
        runs, seed, tuple(kind.value for kind in only or ()), limit, processes or os.cpu_count() or 1, first
    )  # fmt: skip
    progress = Progress()
    found: list[Found] = []
    try:
        searched = run_search(opening, wanted, progress.searched)
        for invariant, _ in searched.batch.violated.most_common():
            try:
                one = smallest(
                    subject, searched.batch, invariant,
                    on_try=lambda calls, invariant=invariant: progress.shrinking(invariant, calls),  # type: ignore[misc]
                )  # fmt: skip
            except KeyboardInterrupt:
                searched.interrupted = True
                break
            if one is not None:
                found.append(saved(one, opening, subject, folder))
    finally:
        progress.close()
    name = subject.scenario.name
    again = [part for module in plugin or () for part in ("--plugin", module)]
    again += [part for node in real or () for part in ("--real", node)]
    if json:
        print_json(data(searched, found, file, name))
    else:
        print("\n".join(report(searched, found, file, name, again)))
    if searched.interrupted:
        raise typer.Exit(INTERRUPTED)
    if searched.batch.violated:
        raise typer.Exit(FINDINGS)


def _seconds(text: str) -> float:
    """What ``--time`` says, in seconds: a duration as the language writes it, or a bare number of seconds."""
    from echostack.core.errors import UsageError
    from echostack.language import parse_duration

    try:
        seconds = parse_duration(float(text))
    except ValueError:
        seconds = parse_duration(text)
    if seconds is None or seconds < 0.1:
        raise UsageError(f"--time takes how long the search may last, 100ms or more, as 90s or 5m, not {text!r}")
    return seconds
