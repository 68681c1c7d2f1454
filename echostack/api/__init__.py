"""What an embedding program imports: load, check, compile, and the sessions of a compiled pipeline."""

from echostack.api.loading import Checked, check, load
from echostack.api.pipeline import Pipeline, compile
from echostack.api.registry import default_registry
from echostack.runtime import Session, Stats, Subscription
from echostack.runtime.streams import broadcast, merge

__all__ = [
    "Checked",
    "Pipeline",
    "Session",
    "Stats",
    "Subscription",
    "broadcast",
    "check",
    "compile",
    "default_registry",
    "load",
    "merge",
]
