"""``echostack test``: the scenarios of `.echo` files, simulated and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echostack.cli.options import Plugins, registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echostack.testing.result import Result

Real = Annotated[
    list[str] | None,
    typer.Option("--real", metavar="NODE", help="Do not simulate this node; it needs what it needs (repeatable)."),
]


def run_scenarios(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files with tests, and folders that have some.", show_default=False),
    ],
    keyword: Annotated[
        str | None,
        typer.Option("-k", metavar="EXPR", help="Only scenarios whose file::name has these words (and, or, not)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="The seed, in place of each scenario's own.")
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="Run each with N seeds, beginning with its own.")
    ] = 1,
    processes: Annotated[int, typer.Option("-j", metavar="N", min=1, max=256, help="Work in N processes.")] = 1,
    first: Annotated[bool, typer.Option("-x", help="Stop at the first scenario that fails.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also tell how fast the calls were.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results there, as JUnit's XML.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, and nothing else.")] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FOLDER", help="Record the calls that fail, each in a folder there."),
    ] = None,
    real: Real = None,
    plugin: Plugins = None,
) -> None:
    """Run the scenarios of .echo files on a virtual clock: no keys, no network, no waiting.

    Each call is played by its script, through the graph as it would run, with every connector simulated. One seed gives
    one call, to the last bit. What fails is shown with the part of the call that matters.
    """
    from echostack.cli.files import replace_text
    from echostack.cli.guard import FINDINGS, INTERRUPTED, tell
    from echostack.cli.junit import junit_xml
    from echostack.cli.output import print_json
    from echostack.cli.scenario_output import Screen, results_data
    from echostack.cli.scenario_runs import Setting, results
    from echostack.core.errors import UsageError
    from echostack.simulation.workers import WorkerDied
    from echostack.testing.bench import Bench
    from echostack.testing.collect import collect
    from echostack.testing.files import files_of

    if junit is not None and (junit.suffix == ".echo" or junit.is_dir()):
        raise UsageError(f"--junit {junit}: this is {'a folder' if junit.is_dir() else 'a .echo file'}")
    setting = Setting(tuple(plugin or ()), tuple(real or ()), record, (str(Path.cwd()),) if plugin else ())
    bench = Bench(setting.plugins, setting.real, registry(plugin, functions=True))
    files = files_of(paths)
    found = collect(bench, files, keyword or "", seed, runs)
    status = max((tell(error) for error in found.unreadable), default=0)
    if not found.runs and not found.broken and not status:
        raise UsageError(_nothing(paths, files, keyword, found.left_out))
    screen = None if json else Screen(found, setting, verbose=verbose)
    done: list[Result] = []
    interrupted = False
    going = results(found.runs, setting, bench, min(processes, max(1, len(found.runs))))
    try:
        for result in going:
            done.append(result)
            if screen is not None:
                screen.show(result)
            if first and not result.ok:
                break
    except KeyboardInterrupt:
        interrupted = True
    except WorkerDied as error:  # what the others found is told all the same
        status = max(status, tell(error))
    finally:
        going.close()
    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.touch()
        replace_text(junit, junit_xml(done, found.broken, found.findings.sources))
    if screen is not None:
        screen.close(done, interrupted=interrupted)
    else:
        print_json(results_data(done, found, [str(file) for file in files], interrupted=interrupted))
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if status or found.broken or not all(result.ok for result in done):
        raise typer.Exit(max(status, FINDINGS))


def _nothing(paths: Sequence[Path], files: Sequence[Path], keyword: str | None, left_out: int) -> str:
    """Why there is nothing to run, and what to do."""
    if left_out:
        of = "the only scenario does not have" if left_out == 1 else f"none of {left_out} scenarios has"
        return f"-k {keyword!r}: {of} that in its file::name"
    named = ", ".join(str(path) for path in paths)
    where = "have" if len(paths) > 1 else "has"
    if files:
        return f"{named} {where} no scenario; write some under `tests:`, as docs/testing.md shows"
    return f"{named} {where} no .echo file with scenarios; they stand under `tests:`, as docs/testing.md shows"
