"""Pictures and explanations of a graph: data first (``picture``, ``explain``), then DOT, SVG, PNG, Mermaid and text."""

from echostack.render.draw import FORMATS, draw, save
from echostack.render.explain import explain
from echostack.render.explain_text import explain_text
from echostack.render.explanation import Explanation
from echostack.render.model import Picture
from echostack.render.picture import picture

__all__ = ["FORMATS", "Explanation", "Picture", "draw", "explain", "explain_text", "picture", "save"]
