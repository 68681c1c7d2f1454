"""What it means when a LiveKit server does not let the agent in, read from the words of the SDK."""

from __future__ import annotations

import re

from echostack.connectors.livekit.settings import Connection
from echostack.connectors.unreachable import why_unreachable
from echostack.core.errors import ConnectorFailure


def refused(said: str, connection: Connection, node: str) -> ConnectorFailure:
    """The failure that ``said`` tells of. The SDK has one error for all that can go wrong, and no status in it."""
    place = connection.place
    low = said.lower().replace(place.lower(), "")
    status = set(re.findall(r"\b\d{3}\b", low))  # whole numbers: an address may hold the same digits
    wrong = "token" if connection.token is not None else "api_key and api_secret"
    if "invalid characters" in low:
        return ConnectorFailure(
            f"{node}: the access token holds what no token does, such as a line break: check {wrong}", retryable=False
        )
    if "401" in status or "unauthorized" in low:
        return ConnectorFailure(
            f"{node}: {place} refuses the access token (401): check {wrong}, and that this machine's clock is right "
            f"({said})",
            retryable=False,
        )
    if "403" in status or "forbidden" in low:
        return ConnectorFailure(
            f"{node}: {place} does not let this token join the room (403): it needs the grant roomJoin ({said})",
            retryable=False,
        )
    if "429" in status:
        return ConnectorFailure(f"{node}: {place} limits how often it is connected to (429): {said}")
    return ConnectorFailure(f"{node} cannot join the LiveKit room at {place}: {why_unreachable(said)}")
