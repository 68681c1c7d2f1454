"""Shapes, colours and fonts. Chosen to be told apart in print, in grey and by colour-blind eyes: shape carries
the part as well as colour does, and findings have words."""

from __future__ import annotations

from dataclasses import dataclass

from echostack.core.diagnostic import Severity
from echostack.render.model import FrameKind, Medium, Part

# Arial's metrics are built into every Graphviz; the SVG names fonts of the same metrics for other machines.
SANS, MONO = "Arial", "Courier New"
SVG_FONTS = {
    SANS: "Arial, Helvetica, 'Liberation Sans', Arimo, sans-serif",
    MONO: "'Courier New', 'Liberation Mono', Cousine, monospace",
}

INK, FAINT, RULE, PAPER = "#1f2937", "#6b7280", "#cbd5e1", "#ffffff"


@dataclass(frozen=True, slots=True)
class Look:
    """How one part is drawn: Graphviz shape and style, fill, border, the colour of its caption."""

    shape: str
    fill: str
    edge: str
    style: str = "filled"
    mermaid: tuple[str, str] = ("[", "]")


LOOKS: dict[Part, Look] = {
    Part.INGRESS: Look("cds", "#d5f5f0", "#0f766e", mermaid=(">", "]")),
    Part.EGRESS: Look("cds", "#d5f5f0", "#0f766e", mermaid=("[/", "/]")),
    Part.RECOGNISER: Look("box", "#dbeafe", "#1d4ed8", "filled,rounded", ("(", ")")),
    Part.VAD: Look("hexagon", "#e0f2fe", "#0369a1", mermaid=("{{", "}}")),
    Part.AGENT: Look("box", "#ede9fe", "#6d28d9", "filled,rounded", ("([", "])")),
    Part.ROUTER: Look("octagon", "#fef9c3", "#a16207", mermaid=("{", "}")),
    Part.SYNTHESISER: Look("box", "#dcfce7", "#15803d", "filled,rounded", ("(", ")")),
    Part.STEP: Look("box", "#f1f5f9", "#475569", "filled,rounded", ("[", "]")),
    Part.EFFECT: Look("component", "#fae8ff", "#a21caf", mermaid=("[[", "]]")),
    Part.LOG: Look("note", "#f8fafc", "#64748b", mermaid=("[(", ")]")),
    Part.CHOICE: Look("box", "#eef2ff", "#4338ca", "filled", ("[", "]")),
    Part.PATTERN: Look("box", "#ffffff", "#94a3b8", "filled,rounded,dashed", ("([", "])")),
    Part.PLAYBOOK: Look("folder", "#ffedd5", "#c2410c", mermaid=("[[", "]]")),
    Part.RESAMPLER: Look("box", "#ffffff", "#0f766e", "filled,rounded,dashed", ("(", ")")),
    Part.UNKNOWN: Look("box", "#ffffff", "#64748b", "filled,rounded,dashed", ("[", "]")),
}

LINES: dict[Medium, tuple[str, str]] = {
    Medium.AUDIO: ("#0f766e", "2.0"),
    Medium.WORDS: ("#475569", "1.3"),
    Medium.CONTROL: ("#c2410c", "1.2"),
}
INTERRUPTS = "#be123c"


def _frame(style: str, border: str, words: str, width: str) -> dict[str, str]:
    return {"style": style, "color": border, "fontcolor": words, "penwidth": width}


FRAMES: dict[FrameKind, dict[str, str]] = {
    FrameKind.IMPORT: {
        "style": "filled,rounded",
        "color": "#cbd5e1",
        "fillcolor": "#f8fafc",
        "fontcolor": FAINT,
        "penwidth": "1",
    },
    FrameKind.SCOPE: _frame("dashed,rounded", INTERRUPTS, INTERRUPTS, "1.4"),
    FrameKind.ISLAND: {
        "style": "filled,rounded",
        "color": "#e2e8f0",
        "fillcolor": "#eef2f6",
        "fontcolor": FAINT,
        "penwidth": "1",
    },
}

SEVERE: dict[Severity, str] = {Severity.ERROR: "#c81e1e", Severity.WARNING: "#b45309", Severity.NOTE: "#475569"}
