"""Searches the desk with whatever copy of the package stands first on the path, and prints what it found, as JSON.

``python hunt.py RUNS SEED ONLY,ONLY``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def subject() -> object:
    """The desk and its only scenario."""
    from echostack.simulation.search.subject import Subject
    from echostack.testing.bench import Bench

    bench = Bench(["parts"])
    scenario = bench.scenario(HERE / "desk.echo", "talk")
    return Subject(bench.plan(HERE / "desk.echo", scenario), scenario)


def main(runs: int, seed: int, only: tuple[str, ...]) -> None:
    """Search until there is something, or to the last run."""
    import echostack
    from echostack.simulation.search.run import Search, search

    found = search(subject, Search(runs=runs, seed=seed, only=only, first=True))  # type: ignore[arg-type]
    first = {name: hit.failures for hit in reversed(found.batch.hits) for name in hit.invariants}
    said = {name: next(f.what for f in failures if f.invariant == name) for name, failures in first.items()}
    print(json.dumps({
        "package": echostack.__file__, "runs": found.batch.runs, "unplayed": found.batch.unplayed,
        "violated": dict(found.batch.violated), "said": said,
    }))  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), tuple(k for k in sys.argv[3].split(",") if k))
