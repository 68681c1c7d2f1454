"""How long a simulated connector takes: drawn by seed from the two percentiles that it declares, or a scenario gives.

Waits for a service have a long right tail, so the draw is log-normal, through both percentiles: with z the 95th
percentile of the standard normal distribution, mu = ln(p50) and sigma = ln(p95 / p50) / z.
"""

from __future__ import annotations

import math
from random import Random

from echostack.language.scenario import Delay
from echostack.registry import ConnectorSpec

Z95 = 1.6448536269514722
"""The 95th percentile of the standard normal distribution."""


def profile(spec: ConnectorSpec) -> Delay:
    """What a connector declares of itself, in seconds; none for one that declares nothing."""
    p50, p95 = spec.latency.p50 / 1000, spec.latency.p95 / 1000
    return Delay(p50, max(p50, p95))


def drawn(delay: Delay, random: Random) -> float:
    """Seconds, in whole microseconds, so that a trace is the same on every machine. Nothing is drawn from ``random``
    for a delay that is always the same."""
    if delay.p50 <= 0 or delay.p95 <= delay.p50:
        return delay.p50
    sigma = math.log(delay.p95 / delay.p50) / Z95
    return round(random.lognormvariate(math.log(delay.p50), sigma), 6)
