"""Whether a LiveKit server would let the agent in, asked without joining: for ``check --environment``."""

from __future__ import annotations

import httpx2

from echostack.connectors.livekit.settings import Connection, LiveKitSettings
from echostack.connectors.unreachable import why_unreachable
from echostack.core.errors import ConnectorFailure


async def probe(node: str, settings: LiveKitSettings) -> None:
    """Ask the server's ``/rtc/validate``, as the SDK itself does to find out why a connection was refused.

    ConnectorFailure with what is wrong and what to do. The address is asked once, without following redirects.
    """
    connection = Connection.of(settings)
    connection.require(node)
    token = connection.access_token("probe")
    says = connection.redactor(token)
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=settings.connect_timeout) as client:
            answer = await client.get(
                f"{connection.http_url}/rtc/validate", headers={"Authorization": f"Bearer {token}"}
            )
    except httpx2.HTTPError as error:
        why = says(why_unreachable(error))
        raise ConnectorFailure(f"{node}: cannot connect to {connection.place}: {why}") from None
    if answer.status_code in (401, 403):
        wrong = "token" if connection.token is not None else "api_key and api_secret"
        raise ConnectorFailure(
            f"{node}: {connection.place} does not take the access token ({answer.status_code}): check {wrong}",
            retryable=False,
        )
    if not answer.is_success:
        raise ConnectorFailure(
            f"{node}: {connection.place} answers {answer.status_code}: is that a LiveKit server?", retryable=False
        )
