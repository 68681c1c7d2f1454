"""A running call on the terminal: finished lines above, who speaks and the figures of each stage below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from echostack.cli.call_lines import CallLine, CallLines
from echostack.runtime.stats import percentile

if TYPE_CHECKING:
    from echostack.runtime.stats import Stats, UsageStats

STYLES = {"said": "", "partial": "dim", "note": "dim italic", "bad": "bold red"}
SPEAKERS = {"caller": "cyan", "agent": "green"}
AFTERWARDS = frozenset({"failed_over", "recovered", "dead_letter"})
"""Errors that tell what came of a failure: the failure itself is counted by an error of its own."""


class CallScreen:
    """Shows a call; a context manager.

    On a terminal the last lines are live: who speaks, the words that may still change, latencies and drops. In a pipe
    every line, partial words included, is printed once and nothing is redrawn.
    """

    def __init__(self, console: Console, lines: CallLines, stats: Callable[[], Stats | None]) -> None:
        self._console, self._lines, self._stats = console, lines, stats
        self._live = Live(get_renderable=self._status, console=console, auto_refresh=False, transient=True)
        self._refreshed = 0.0

    def show(self, lines: list[CallLine]) -> None:
        """Print lines above the live part; words that may still change belong to the live part, where there is one."""
        for line in lines:
            if line.style == "partial" and self._console.is_terminal:
                continue
            self._console.print(styled(line))

    def refresh(self, now: float) -> None:
        """Redraw the live part, at most eight times a second of the call; ``now`` in session seconds.

        From the call's own loop, never from a thread: the figures are read while nothing changes them.
        """
        if self._console.is_terminal and now - self._refreshed >= 0.125:
            self._refreshed = now
            self._live.refresh()

    def _status(self) -> RenderableType:
        caller = "speaking" if self._lines.caller_speaks else "silent"
        agent = "paused" if self._lines.paused else "speaking" if self._lines.agent_speaks else "silent"
        head = Styled.assemble(
            (f"{self._lines.now:8.2f}  ", "bold"), ("caller ", SPEAKERS["caller"]), f"{caller:<9}",
            ("agent ", SPEAKERS["agent"]), f"{agent:<9}", (self._lines.partial, "dim"),
        )  # fmt: skip
        head.truncate(max(20, self._console.width - 1), overflow="ellipsis")
        stats = self._stats()
        return Group(head, figures(stats)) if stats is not None else head

    def __enter__(self) -> CallScreen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()
        stats = self._stats()
        if stats is not None:
            self._console.print()
            self._console.print(figures(stats))
            self._console.print()
            self._console.print(whole(stats))
            for line in beside(stats):
                self._console.print(line)


def styled(line: CallLine) -> Styled:
    """A line in the colours of who says it."""
    return Styled.assemble(
        (f"{line.time:8.2f}  ", "dim"),
        (f"{line.who:<6}  ", SPEAKERS.get(line.who, "")),
        (line.text, STYLES[line.style]),
    )


def figures(stats: Stats) -> Table:
    """Each stage that worked: events in and out, time to its first output, failures; then the drops by queue."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "in", "out", "first output p50", "p95", "failures"):
        rows.add_column(heading, justify="left" if heading == "stage" else "right")
    for node, counted in stats.nodes.items():
        if counted["received"] or counted["emitted"]:
            rows.add_row(node, *_row(counted))
    for queue in stats.queues:
        lost = queue.dropped + queue.refused
        if lost:
            rows.add_row(f"{queue.edge}: {lost} of {queue.put + queue.refused} dropped ({queue.overflow})", style="red")
    return rows


def whole(stats: Stats) -> Styled:
    """The call as a whole: from the caller's last word to the reply's first sample, interruptions, losses."""
    waits = stats.voice_to_voice_ms
    parts = []
    if waits:
        turns = f"{len(waits)} repl{'y' if len(waits) == 1 else 'ies'}"
        parts.append(
            f"voice to voice {percentile(waits, 0.5):.0f} ms p50, {percentile(waits, 0.95):.0f} ms p95 over {turns}"
        )
    parts.append(f"{stats.interruptions} interruption{'' if stats.interruptions == 1 else 's'}")
    if stats.aborted:
        parts.append(f"{stats.aborted} false one{'' if stats.aborted == 1 else 's'}")
    parts.append(f"{stats.dropped:,} events dropped" if stats.dropped else "no event dropped")
    return Styled(", ".join(parts))


def beside(stats: Stats) -> list[Styled]:
    """What the call took besides time: replies over the file's budget, a line, and what providers counted, another."""
    lines = []
    if stats.budget_exceeded and stats.budget_ms is not None:
        replies = max(stats.budget_exceeded, len(stats.voice_to_voice_ms))
        slowest = ", ".join(f"{part} {times} time{'' if times == 1 else 's'}" for part, times in _most(stats))
        lines.append(
            Styled(
                f"over the budget of {stats.budget_ms:g} ms: {stats.budget_exceeded} of {replies} "
                f"repl{'y' if replies == 1 else 'ies'}; most of the time took {slowest}",
                style="yellow",
            )
        )
    if stats.usage:
        lines.append(Styled("used: " + "; ".join(map(used, stats.usage))))
    return lines


def _most(stats: Stats) -> list[tuple[str, int]]:
    return sorted(stats.budget_slowest.items(), key=lambda item: -item[1])


def used(usage: UsageStats) -> str:
    """What one node used, in words: ``claude.agent (claude-sonnet-5): 1,204 tokens in (1,000 cached), 85 out``."""
    parts = []
    if usage.input_tokens or usage.output_tokens:
        kept = [
            f"{count:,} {what}"
            for count, what in ((usage.cached_tokens, "cached"), (usage.cache_written_tokens, "written to the cache"))
            if count
        ]
        parts.append(f"{usage.input_tokens:,} tokens in" + (f" ({', '.join(kept)})" if kept else ""))
        parts.append(f"{usage.output_tokens:,} out")
    if usage.characters:
        parts.append(f"{usage.characters:,} characters")
    if usage.audio_seconds:
        parts.append(f"{usage.audio_seconds:,.1f} s of audio")
    model = f" ({usage.model})" if usage.model else ""
    return f"{usage.node}{model}: {', '.join(parts) or 'nothing'}"


def _row(counted: Mapping[str, Any]) -> tuple[str, ...]:
    first = counted["first_output_ms"]
    timed = bool(first["count"])
    return (
        f"{counted['received']:,}",
        f"{counted['emitted']:,}",
        f"{first['p50']:.0f} ms" if timed else "",
        f"{first['p95']:.0f} ms" if timed else "",
        str(sum(n for kind, n in counted["failures"].items() if kind not in AFTERWARDS) or ""),
    )
