"""A Picture as DOT source: left to right, boxes by part, frames as clusters, the title above, the legend below.

The text depends on the picture alone (no addresses, no sets), so equal pictures give equal bytes.
"""

from __future__ import annotations

import html
import textwrap
import unicodedata
from collections.abc import Iterable

import graphviz

from echostack.core.diagnostic import Severity
from echostack.render.model import Box, Frame, FrameKind, Line, Mark, Medium, Part, Picture
from echostack.render.theme import (
    FAINT,
    FRAMES,
    INK,
    INTERRUPTS,
    LINES,
    LOOKS,
    MONO,
    PAPER,
    SANS,
    SEVERE,
)  # fmt: skip

MOST_FINDINGS = 12

_BARE = {"labeljust": "l", "penwidth": "0", "margin": "4", "bgcolor": PAPER}
_ROOM = {"cds": "0.16,0.1", "hexagon": "0,0", "octagon": "0.05,0.02"}


def dot_source(picture: Picture) -> str:
    """DOT source that any Graphviz from version 2.30 on lays out."""
    graph = graphviz.Digraph("echostack", comment=None)
    graph.attr(
        "graph", rankdir="LR", fontname=SANS, fontsize="11", fontcolor=INK, bgcolor=PAPER, pad="0.3",
        nodesep="0.34", ranksep="0.55", compound="true", splines="true", labelloc="b", labeljust="l",
        label=_table(_findings(picture.marks)), tooltip=picture.title,
    )  # fmt: skip
    graph.attr("node", fontname=SANS, fontsize="12", fontcolor=INK, penwidth="1.3", margin="0.13,0.07", height="0.45")
    graph.attr("edge", fontname=SANS, fontsize="9.5", fontcolor=FAINT, arrowsize="0.7")
    # A graph has one label, and so has a cluster: frames without a border, one in the other, carry the rows around.
    with graph.subgraph(name="cluster__lines") as outer:
        outer.attr(label=_table(_legend(_line_samples(picture))), **_BARE, labelloc="b")
        with outer.subgraph(name="cluster__parts") as middle:
            middle.attr(label=_table(_legend(_part_samples(picture))), **_BARE, labelloc="b")
            with middle.subgraph(name="cluster__picture") as whole:
                whole.attr(label=_title(picture), **_BARE, labelloc="t")
                _fill(whole, picture, "")
    anchors = {f.id: f"cluster_{_name(f.id)}" for f in picture.frames}
    for line in picture.lines:
        _line(graph, line, anchors)
    return str(graph.source)


def _fill(graph: graphviz.Digraph, picture: Picture, parent: str) -> None:
    for frame in picture.frames:
        if frame.parent == parent:
            with graph.subgraph(name=f"cluster_{_name(frame.id)}") as inner:
                inner.attr(**_frame(frame))
                _fill(inner, picture, frame.id)
    for box in picture.boxes:
        if box.frame == parent:
            graph.node(_name(box.id), **_box(box))


def _name(name: str) -> str:
    """A DOT identifier: a colon would start a port, a backslash an escape."""
    return name.replace(":", "_").replace("\\", "_")


def _frame(frame: Frame) -> dict[str, str]:
    bold = frame.kind is not FrameKind.ISLAND
    words = _text(frame.title, 10, str(FRAMES[frame.kind]["fontcolor"]), bold=bold)
    return {"label": f"<{words}>", "labeljust": "l", "margin": "12", "tooltip": frame.title, **FRAMES[frame.kind]}


def _box(box: Box) -> dict[str, str]:
    look = LOOKS[box.part]
    bad = worst(box.marks)
    rows = []
    if box.part is not Part.PATTERN:
        caption = f"{box.part.value}, inserted" if box.inserted else box.part.value
        rows.append(_row(_text(caption, 8, look.edge)))
    face = MONO if box.part is Part.PATTERN else ""
    rows.append(_row(_text(box.title, 10 if face else 12, INK, bold=not (face or box.members), face=face), box.title))
    for position, member in enumerate(box.members, 1):
        colour = LOOKS[member.part]
        rows.append(
            f'<TR><TD ALIGN="LEFT" BGCOLOR="{colour.fill}" CELLPADDING="4">'
            f"{_text(f'{position}  ', 9, colour.edge)}{_text(member.title, 12, INK, bold=True)}</TD></TR>"
        )
    for note in (box.note, *box.badges):
        if note:
            rows.append(_row(_text(note, 9, FAINT), note))
    if box.marks:
        rows.append(_row(_codes(box.marks)))
    style = look.style
    if box.inserted and "dashed" not in style:
        style += ",dashed"
    tip = "; ".join(f"{m.code} {m.message}" for m in box.marks) or f"{box.part.value} {box.id}"
    return {
        "id": f"node {box.id}", "label": _table("".join(rows)),
        "shape": look.shape, "style": style, "fillcolor": look.fill,
        "color": SEVERE[bad] if bad else look.edge, "penwidth": "2.6" if bad else "1.3", "tooltip": tip,
        **({"margin": _ROOM[look.shape]} if look.shape in _ROOM else {}),
    }  # fmt: skip


def _line(graph: graphviz.Digraph, line: Line, anchors: dict[str, str]) -> None:
    colour, width = LINES[line.medium]
    bad = worst(line.marks)
    attributes = {
        "color": SEVERE[bad] if bad else colour,
        "penwidth": "2.4" if bad else ("1.0" if line.quiet else width),
        "id": f"edge {line.source} {line.target}",
        "tooltip": "; ".join(f"{m.code} {m.message}" for m in line.marks) or _tip(line),
    }
    if line.quiet:
        attributes["style"] = "dashed"
    if not line.arrow:
        attributes["arrowhead"] = "none"
    elif line.queued:
        attributes["arrowhead"] = "normalobox"
    if line.into:
        attributes.update(color=INTERRUPTS, fontcolor=INTERRUPTS, weight="0", constraint="false")
        if line.into in anchors:
            attributes["lhead"] = anchors[line.into]
    label = _line_label(line, attributes["color"])
    if label:
        attributes["label"] = label
    graph.edge(_name(line.source), _name(line.target), **attributes)


def _tip(line: Line) -> str:
    return f"{line.source} to {line.target}" + (f": {line.detail}" if line.detail else "")


def _line_label(line: Line, colour: str) -> str:
    rows = []
    if line.port:
        rows.append(_row(_text(f":{line.port}", 10, INK, bold=True), line.port))
    if line.guard:
        rows.append(_row(_text(f"[ {line.guard} ]", 9, "#7c2d12", face=MONO), line.guard))
    rows.extend(_row(_text(kind, 9.5, colour), kind) for kind in line.kinds)
    if line.policy:
        rows.append(_row(_text(line.policy, 8.5, FAINT, italic=True)))
    if line.marks:
        rows.append(_row(_codes(line.marks)))
    # Graphviz draws the line right under its words; a little air keeps them apart.
    return _table("".join([*rows, '<TR><TD HEIGHT="3"></TD></TR>'])) if rows else ""


def _title(picture: Picture) -> str:
    rows = [_row(_text(picture.title, 20, INK, bold=True), picture.title, left=True)]
    description = " ".join(picture.subtitle.split())
    for line in textwrap.wrap(description, 110)[:2]:
        rows.append(_row(_text(line, 11, FAINT), line, left=True))
    rows.append('<TR><TD HEIGHT="8"></TD></TR>')
    return _table("".join(rows))


def _part_samples(picture: Picture) -> list[str]:
    """A swatch for every part that is in the picture."""
    return [
        f'<TD BGCOLOR="{LOOKS[p].fill}" BORDER="1" COLOR="{LOOKS[p].edge}" STYLE="ROUNDED" CELLPADDING="4">'
        f"{_text(p.value, 9, INK)}</TD>"
        for p in Part
        if any(b.part is p or any(m.part is p for m in b.members) for b in picture.boxes)
    ]


def _line_samples(picture: Picture) -> list[str]:
    """A sample of every sort of line that is in the picture."""
    cells = [
        _sample("——", LINES[medium][0], medium.value)
        for medium in Medium
        if any(e.medium is medium and not e.into for e in picture.lines)
    ]
    if any(e.quiet and not e.into for e in picture.lines):
        cells.append(_sample("- - -", LINES[Medium.WORDS][0], "by event pattern"))
    if any(f.kind is FrameKind.SCOPE for f in picture.frames):
        cells.append(_sample("- - -", INTERRUPTS, "barge-in scope"))
    if any(b.inserted for b in picture.boxes):
        cells.append(f"<TD>{_text('dashed border: put in by the compiler', 9, FAINT)}</TD>")
    if any(e.queued for e in picture.lines):
        cells.append(f"<TD>{_text('open square: a queue before the node', 9, FAINT)}</TD>")
    return cells


def _sample(stroke: str, colour: str, words: str) -> str:
    return f"<TD>{_text(stroke, 10, colour, bold=True)}</TD><TD>{_text(words, 9, INK)}</TD>"


def _legend(cells: list[str]) -> str:
    inner = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="5" CELLPADDING="1"><TR>{"".join(cells)}</TR></TABLE>'
    return f'<TR><TD ALIGN="LEFT">{inner}</TD></TR>' if cells else ""


def _table(rows: str) -> str:
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>' if rows else ""


def _findings(marks: tuple[Mark, ...]) -> str:
    rows = []
    for mark in marks[:MOST_FINDINGS]:
        words = textwrap.shorten(f"{mark.message}", 120, placeholder="…")
        where = f"  {mark.place}" if mark.place else ""
        rows.append(_row(f"{_codes((mark,))}{_text(f'  {words}', 10, INK)}{_text(where, 9, FAINT)}", words, left=True))
    if len(marks) > MOST_FINDINGS:
        rows.append(_row(_text(f"and {len(marks) - MOST_FINDINGS} more findings", 10, FAINT), left=True))
    return "".join(rows)


def _codes(marks: Iterable[Mark]) -> str:
    return " ".join(_text(m.code, 9.5, SEVERE[m.severity], bold=True) for m in dict.fromkeys(marks))


def worst(marks: Iterable[Mark]) -> Severity | None:
    order = list(Severity)
    return min((m.severity for m in marks), key=order.index, default=None)


def _row(cell: str, text: str = "", *, left: bool = False) -> str:
    align = ' ALIGN="LEFT"' if left else ""
    # Graphviz knows the widths of Latin letters only; wider ones would run over the border.
    width = f' WIDTH="{_estimate(text)}"' if any(ord(c) > 0xFF for c in text) else ""
    return f"<TR><TD{align}{width}>{cell}</TD></TR>"


def _estimate(text: str) -> int:
    return round(sum(13 if unicodedata.east_asian_width(c) in "WF" else 8 for c in text))


def _text(text: str, size: float, colour: str, *, bold: bool = False, italic: bool = False, face: str = "") -> str:
    words = html.escape("".join(c for c in text if c.isprintable()), quote=False)
    if not words:
        return ""
    words = f"<B>{words}</B>" if bold else f"<I>{words}</I>" if italic else words
    font = f' FACE="{face}"' if face else ""
    return f'<FONT{font} POINT-SIZE="{size:g}" COLOR="{colour}">{words}</FONT>'
