"""What must come of a simulated call: expectations judged, what every call has to keep, and the part that matters."""

from echostack.simulation.expect.judge import judge
from echostack.simulation.expect.timeline import failure_timeline, timeline

__all__ = ["failure_timeline", "judge", "timeline"]
