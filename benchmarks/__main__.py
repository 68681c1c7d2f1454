"""Run the scripts of this folder one after the other, each in a process of its own.

usage: python -m benchmarks [NAME...] [--quick]     all of them, or those whose file names begin so

Options go to every script; those that know ``--quick`` measure less.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = {"__init__.py", "__main__.py", "by_hand.py", "measure.py"}


def scripts(names: list[str]) -> list[Path]:
    """The measurement scripts, by name; a name that fits none is an error of usage."""
    every = sorted(p for p in HERE.glob("*.py") if p.name not in HELPERS)
    for name in names:
        if not any(p.stem.startswith(name) for p in every):
            sys.exit(f"no benchmark is called {name!r}: there are {', '.join(p.stem for p in every)}")
    return [p for p in every if not names or p.stem.startswith(tuple(names))]


def main(arguments: list[str]) -> int:
    """Run them; the number of scripts that failed."""
    failed = 0
    names, options = [a for a in arguments if not a.startswith("-")], [a for a in arguments if a.startswith("-")]
    for script in scripts(names):
        about = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").split("\n", 1)[0]
        print(f"== {script.stem}: {about}", flush=True)
        # From a module of the package, so that a script imports benchmarks.measure as any program imports a package.
        command = [sys.executable, "-m", f"benchmarks.{script.stem}", *options]
        done = subprocess.run(command, cwd=HERE.parent, check=False)
        if done.returncode:
            failed += 1
            print(f"   failed with status {done.returncode}", flush=True)
        print(flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
