"""A Picture as a Mermaid flowchart, for README files and wikis that draw them in place."""

from __future__ import annotations

from echostack.render.dot import worst
from echostack.render.model import Box, FrameKind, Line, Part, Picture
from echostack.render.theme import INTERRUPTS, LINES, LOOKS, SEVERE


def mermaid_source(picture: Picture) -> str:
    """Mermaid source. Identifiers are ``n1``, ``n2`` … in the picture's order, because Mermaid's are narrow."""
    names = {box.id: f"n{i}" for i, box in enumerate(picture.boxes, 1)}
    frames = {frame.id: f"f{i}" for i, frame in enumerate(picture.frames, 1)}
    lines = ["---", f"title: {_title(picture.title)}", "---", "flowchart LR"]
    lines += _fill(picture, "", names, frames, 1)
    for line in picture.lines:
        end = frames.get(line.into) or names[line.target]
        lines.append(f"  {names[line.source]} {_arrow(line)} {end}")
    for part in Part:
        members = [names[b.id] for b in picture.boxes if b.part is part]
        if members:
            look, word = LOOKS[part], part.name.lower()
            dashed = ",stroke-dasharray:5 4" if "dashed" in look.style else ""
            lines.append(f"  classDef {word} fill:{look.fill},stroke:{look.edge},color:#1f2937{dashed}")
            lines.append(f"  class {','.join(members)} {word}")
    for frame in picture.frames:
        if frame.kind is FrameKind.SCOPE:
            lines.append(f"  style {frames[frame.id]} fill:none,stroke:{INTERRUPTS},stroke-dasharray:6 4")
    for box in picture.boxes:
        bad = worst(box.marks)
        if bad:
            lines.append(f"  style {names[box.id]} stroke:{SEVERE[bad]},stroke-width:3px")
        elif box.inserted:
            lines.append(f"  style {names[box.id]} stroke-dasharray:5 4")
    for index, line in enumerate(picture.lines):
        bad = worst(line.marks)
        colour = SEVERE[bad] if bad else INTERRUPTS if line.into else LINES[line.medium][0]
        lines.append(f"  linkStyle {index} stroke:{colour}{',stroke-width:3px' if bad else ''}")
    return "\n".join(lines) + "\n"


def _fill(picture: Picture, parent: str, names: dict[str, str], frames: dict[str, str], depth: int) -> list[str]:
    pad = "  " * depth
    lines = []
    for frame in picture.frames:
        if frame.parent == parent:
            lines.append(f"{pad}subgraph {frames[frame.id]}[{_quote(frame.title)}]")
            lines += _fill(picture, frame.id, names, frames, depth + 1)
            lines.append(f"{pad}end")
    for box in picture.boxes:
        if box.frame == parent:
            left, right = LOOKS[box.part].mermaid
            lines.append(f"{pad}{names[box.id]}{left}{_box(box)}{right}")
    return lines


def _box(box: Box) -> str:
    caption = f"{box.part.value}, inserted" if box.inserted else box.part.value
    members = [f"{i} {m.title}" for i, m in enumerate(box.members, 1)]
    codes = [m.code for m in box.marks]
    return _quote(*[t for t in (caption, box.title, *members, box.note, *box.badges, " ".join(codes)) if t])


def _arrow(line: Line) -> str:
    words = [f":{line.port}" if line.port else "", f"[ {line.guard} ]" if line.guard else "", *line.kinds, line.policy]
    words.append(" ".join(m.code for m in line.marks))
    label = _quote(*[w for w in words if w]) if any(words) else ""
    shaft = ("-.->" if line.quiet else "-->") if line.arrow else ("-.-" if line.quiet else "---")
    return f"{shaft}|{label}|" if label else shaft


def _quote(*lines: str) -> str:
    """A Mermaid string: entities for what would end it or be read as markup."""
    return '"' + "<br>".join(_escape(line) for line in lines) + '"'


def _escape(text: str) -> str:
    table = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "&": "#amp;", "|": "#124;"}
    return "".join(table.get(c, c) for c in text if c.isprintable())


def _title(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
