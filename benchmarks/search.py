"""Search: how many calls a second of the shipped demo are varied, simulated and held against every invariant.

The call is ``examples/front_desk.echo``, a caller who changes the subject into the answer, as ``echostack search``
varies it: 10,000 runs in a process a core. It prints how fast that was and what it found, which is to be nothing.

``--quick``: 300 runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from echostack.simulation.search.run import Search, search
from echostack.testing.searching import Opening

DEMO = Path(__file__).parents[1] / "examples" / "front_desk.echo"
SCENARIO = "a caller changes the subject into the answer"
RUNS, RUNS_QUICK = 10_000, 300


def main() -> None:
    """Search, and print the figures."""
    runs = RUNS_QUICK if "--quick" in sys.argv[1:] else RUNS
    cores = os.cpu_count() or 1
    found = search(Opening(DEMO, SCENARIO), Search(runs, processes=cores))
    batch = found.batch
    print(f"{batch.runs:,} runs in {found.took:,.1f} s on {cores} cores: {batch.runs / found.took:,.0f} runs a second")
    print(f"{batch.seconds / 3600:,.1f} hours of calls, {found.speed:,.0f} times real time")
    print(f"at {len(batch.instants):,} instants; the call as it stands has {found.instants:,}")
    print("violations: " + (", ".join(f"{n} {c:,}" for n, c in batch.violated.most_common()) or "none"))


if __name__ == "__main__":
    main()
