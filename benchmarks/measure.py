"""Interleaved measurement: every case once a round, so that a machine that slows down slows all of them.

A single figure of a shared machine says little; the ratio of two cases of one interleaved run says much. So a table
shows the median of each case, its spread, and its ratio to the first case.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """What one case gave: a figure a round, in the order of the rounds."""

    case: str
    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a part of the median."""
        if len(self.figures) < 2 or not self.median:
            return 0.0
        low, _, high = statistics.quantiles(self.figures, n=4, method="inclusive")
        return (high - low) / 2 / self.median


def interleaved(cases: Mapping[str, Callable[[], float]], *, rounds: int = 7, warm_up: int = 1) -> list[Result]:
    """Call every case once a round, in turn, with the collector run before each; the results of the warm-up are lost.

    A case measures itself and returns its figure: events a second, microseconds, whatever the table says it is.
    """
    figures: dict[str, list[float]] = {case: [] for case in cases}
    for turn in range(-warm_up, rounds):
        for case, measure in cases.items():
            gc.collect()
            figure = measure()
            if turn >= 0:
                figures[case].append(figure)
    return [Result(case, tuple(found)) for case, found in figures.items()]


def table(title: str, unit: str, results: list[Result]) -> Iterator[str]:
    """The lines of a table: case, median, spread, ratio to the first case."""
    width = max([len(r.case) for r in results], default=0)
    yield f"{title} ({unit}; median of {len(results[0].figures) if results else 0}, ± half the quartile range)"
    for result in results:
        ratio = result.median / results[0].median if results[0].median else float("nan")
        yield f"  {result.case:<{width}}  {result.median:>14,.4g}  ±{result.spread:>4.0%}  {ratio:>8.2f}x"
