"""One session running one plan: pushes inside islands, bounded queues between them, epochs over both."""

from echostack.runtime.session import Session
from echostack.runtime.stats import QueueStats, Stats
from echostack.runtime.subscription import Subscription

__all__ = ["QueueStats", "Session", "Stats", "Subscription"]
