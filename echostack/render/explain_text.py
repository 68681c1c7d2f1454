"""An Explanation as plain text for a terminal, 80 to 120 columns, no colour, no trailing blanks."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from echostack.plan.model import ENGINE
from echostack.render.explanation import Explanation, FailureLine, ScopeLine

WIDTH = 100


def explain_text(told: Explanation, *, width: int = WIDTH) -> str:
    """The explanation in words; ``width`` is kept between 80 and 120 columns, which only names
    too long for their table overrun. Ends with a newline."""
    width = min(120, max(80, width))
    parts = [f"{told.name or 'pipeline'}  (plan {told.hash[:12]})" if told.hash else told.name or "pipeline"]
    parts.append(_nodes(told, width))
    parts.append(_islands(told, width))
    parts.append(_queues(told, width))
    if told.inserted:
        rows = [(i.what, i.where, i.why) for i in told.inserted]
        parts.append(_section("Put in by the compiler", _table(("what", "where", "why"), rows, width)))
    parts.append(_section("Interruptions", _scopes(told.scopes, width)))
    parts.append(_section("Turns", [_sentence(told.turns), *_wrap(told.speculation, width, "  ")]))
    parts.append(_latency(told, width))
    parts.append(_section("Failures", _failures(told.failures, width)))
    return "\n\n".join(p for p in parts if p) + "\n"


def _nodes(told: Explanation, width: int) -> str:
    rows = [
        (n.id, n.connector if n.connector != n.id else "", n.form, n.runs, n.scope and f"scope {n.scope}")
        for n in told.nodes
    ]
    return _section(f"Nodes ({len(rows)})", _table(("node", "connector", "form", "runs", "silenced in"), rows, width))


def _islands(told: Explanation, width: int) -> str:
    lines = []
    for island in told.islands:
        entered = f"   (entered at {', '.join(island.entries)})" if len(island.entries) > 1 else ""
        lines += _wrap(f"{island.id}: {' + '.join(island.nodes)}{entered}", width, "     ")
    return _section(f"Islands ({len(told.islands)}): no queue inside", lines or ["no two nodes could be fused"])


def _queues(told: Explanation, width: int) -> str:
    rows = [
        (
            f"{_end(q.source)} -> {_end(q.target)}",
            ", ".join(q.kinds),
            str(q.bound),
            q.overflow.replace("_", " "),
            q.lane if q.lane != "media" else "",
            q.why,
        )
        for q in told.queues
    ]
    head = ("from -> to", "kinds", "bound", "when full", "lane", "why")
    return _section(f"Queues ({len(rows)})", _table(head, rows, width) if rows else ["none: everything is fused"])


def _scopes(scopes: Sequence[ScopeLine], width: int) -> list[str]:
    if not scopes:
        return ["nothing here can be interrupted"]
    lines = []
    for scope in scopes:
        lines += _wrap(
            f"{scope.name}: silences {', '.join(dict.fromkeys((*scope.nodes, *scope.egresses)))}", width, "  "
        )
        words = f" or {scope.min_words} words" if scope.min_words else ""
        lines += _wrap(
            f"  {scope.on or 'nothing'} suspends it; {_seconds(scope.min_speech_s)} of speech{words} cut it, "
            f"else it goes on after {_seconds(scope.resume_after_s)}",
            width, "  ",
        )  # fmt: skip
    return lines


def _latency(told: Explanation, width: int) -> str:
    if not told.latency:
        return _section("Latency", ["no path from the caller's ear to the agent's mouth"])
    rows = [(s.node, _ms(s.p50_ms), _ms(s.p95_ms), _ms(s.sum_p50_ms), _ms(s.sum_p95_ms)) for s in told.latency]
    lines = _table(("stage", "p50", "p95", "sum p50", "sum p95"), rows, width, right=(1, 2, 3, 4))
    if told.budget is None:
        lines.append("no budget is set (`budget: {voice_to_voice: 800ms}`)")
    else:
        budget = told.budget
        lines.append(
            f"budget {_ms(budget.budget_ms)}: {_rest(budget.left_p50_ms)} at p50, {_rest(budget.left_p95_ms)} at p95"
        )
    return _section("Latency, from the end of the caller's words to the first sample of the answer", lines)


def _rest(left: float) -> str:
    return f"{_ms(left)} left" if left >= 0 else f"{_ms(-left)} over"


def _failures(failures: Sequence[FailureLine], width: int) -> list[str]:
    lines = []
    for failure in failures:
        said = []
        if failure.fallback:
            said.append(f"tries {', then '.join(failure.fallback)}; {_rests(failure)}")
        if failure.timeout_s is not None:
            said.append(f"gives up on an event after {_seconds(failure.timeout_s)}")
        if failure.attempts > 1:
            said.append(f"{failure.attempts} attempts, {_seconds(failure.backoff_s)} before the second, then doubling")
        lines += _wrap(f"{failure.node}: {'; '.join(said)}", width, "  ")
    return [*lines, "every other failure is an event error.<source>.<kind> and costs that one event"]


def _rests(failure: FailureLine) -> str:
    """How long a member of a choice rests: of all at once where they rest equally long, else of each."""
    if len(set(failure.rests_s)) == 1:
        return f"a failed one rests {_seconds(failure.rests_s[0])}"
    each = [f"{member} {_seconds(rests)}" for member, rests in zip(failure.fallback, failure.rests_s, strict=True)]
    return f"a failed one rests: {', '.join(each)}"


def _end(node: str) -> str:
    return "the engine" if node == ENGINE else node


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])


def _sentence(words: str) -> str:
    return words[:1].lower() + words[1:]


def _ms(value: float) -> str:
    return f"{value:.0f} ms"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:g} s"


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width - 2, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, right: Sequence[int] = ()) -> list[str]:
    """Aligned columns. The last one takes what is left and is wrapped; an empty column is left out."""
    if not rows:
        return []
    keep = [i for i in range(len(head)) if any(row[i] for row in rows)]
    table = [[head[i] for i in keep], *([row[i] for i in keep] for row in rows)]
    right = [keep.index(i) for i in right if i in keep]
    sizes = [max(_columns(row[i]) for row in table) for i in range(len(keep))]
    rest = width - 2 - sum(sizes[:-1]) - 2 * (len(sizes) - 1)
    lines = []
    for row in table:
        cells = [
            " " * (size - _columns(cell)) + cell if i in right else cell + " " * (size - _columns(cell))
            for i, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ]
        before = "  ".join(cells[:-1])
        if sizes[-1] <= rest or len(cells) == 1:
            lines.append("  ".join(cells).rstrip())
            continue
        # A last column of less than 24 columns would be a ribbon: put it under its row instead.
        if rest < 24:
            heading = row is table[0] and _columns(before) + 2 + _columns(row[-1]) <= width - 2
            lines.append(f"{before}  {row[-1]}" if heading else before.rstrip())
            lines += [] if heading else [f"    {line}" for line in textwrap.wrap(row[-1], width - 6)]
            continue
        last = textwrap.wrap(row[-1], rest) or [""]
        lines.append(f"{before}  {last[0]}".rstrip())
        lines += [f"{' ' * (_columns(before) + 2)}{line}" for line in last[1:]]
    return lines


def _columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
