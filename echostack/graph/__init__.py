"""Documents become one graph: imports expanded, aliases resolved, every node with its provenance."""

from echostack.graph.build import build
from echostack.graph.model import Edge, Graph, Node, NodeRole

__all__ = ["Edge", "Graph", "Node", "NodeRole", "build"]
