"""The graph is held against the registry: every finding at once, and a CheckedGraph when there is no error."""

from echostack.checks.check import check
from echostack.checks.environment import environment
from echostack.checks.latency import latency_path, slowest_path
from echostack.checks.model import ENGINE, CheckedEdge, CheckedGraph, CheckedNode, CheckedScope
from echostack.checks.scenarios import check_scenarios

__all__ = [
    "ENGINE", "CheckedEdge", "CheckedGraph", "CheckedNode", "CheckedScope", "check", "check_scenarios", "environment",
    "latency_path", "slowest_path",
]  # fmt: skip
