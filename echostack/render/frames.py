"""Frames that nest: import clusters and barge-in scopes overlap in a graph, and may not in a picture.

A scope always encloses all of its nodes with one border. An import that holds a whole scope stands around it; one
that lies wholly inside stands within it; one that is cut by the border is drawn in two parts, one on each side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from echostack.render.model import Frame, FrameKind


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a box belongs: its import chain (``outer/inner``), its scope (0 for none), its island (-1 for none)."""

    group: str = ""
    scope: int = 0
    island: int = -1


def nest(
    standing: Mapping[str, Standing], scopes: Mapping[int, str], files: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Frame, ...]]:
    """The innermost frame of every box, and all frames, parents before children.

    ``scopes``: titles by id. ``files``: an import chain → the file that it names, for the title.
    """
    frames: dict[str, Frame] = {}
    inner: dict[str, str] = {}
    around = {s: _around(s, standing) for s in scopes}
    cut = {
        group
        for s in scopes
        for group in _groups(standing)
        if group not in around[s] and len({p.scope == s for p in standing.values() if _within(p.group, group)}) > 1
    }
    for box, place in standing.items():
        chain = _chain(place.group)
        parent = ""
        if place.scope in scopes:
            outside = [g for g in chain if g in around[place.scope]]
            for group in outside:
                parent = _import(frames, group, group, parent, files, cut)
            scope = f"scope {place.scope}"
            frames.setdefault(scope, Frame(scope, scopes[place.scope], FrameKind.SCOPE, parent))
            parent = scope
            for group in chain[len(outside) :]:
                key = f"{group} in {scope}" if group in cut else group
                parent = _import(frames, key, group, parent, files, cut)
        else:
            for group in chain:
                parent = _import(frames, group, group, parent, files, cut)
        inner[box] = parent
    _islands(standing, inner, frames)
    return inner, tuple(frames.values())


def _around(scope: int, standing: Mapping[str, Standing]) -> set[str]:
    """The imports that hold every node of the scope."""
    chains = [set(_chain(p.group)) for p in standing.values() if p.scope == scope]
    return set.intersection(*chains) if chains else set()


def _groups(standing: Mapping[str, Standing]) -> list[str]:
    return list(dict.fromkeys(g for p in standing.values() for g in _chain(p.group)))


def _within(group: str, outer: str) -> bool:
    return group == outer or group.startswith(f"{outer}/")


def _chain(group: str) -> Sequence[str]:
    parts = group.split("/") if group else []
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _import(
    frames: dict[str, Frame], key: str, group: str, parent: str, files: Mapping[str, str], cut: set[str]
) -> str:
    name = group.rpartition("/")[2]
    title = f"{name}: {files[group]}" if group in files else name
    frames.setdefault(key, Frame(key, f"{title} (in part)" if group in cut else title, FrameKind.IMPORT, parent))
    return key


def _islands(standing: Mapping[str, Standing], inner: dict[str, str], frames: dict[str, Frame]) -> None:
    """A frame for an island of two or more nodes that stand in one frame; badges tell of the others."""
    members: dict[int, list[str]] = {}
    for box, place in standing.items():
        if place.island >= 0:
            members.setdefault(place.island, []).append(box)
    for island, boxes in sorted(members.items()):
        parents = {inner[b] for b in boxes}
        if len(boxes) > 1 and len(parents) == 1:
            key = f"island {island}"
            frames[key] = Frame(key, f"island {island}: fused", FrameKind.ISLAND, parents.pop())
            inner.update(dict.fromkeys(boxes, key))
