"""webhook.send: posts every event that reaches it to an address, signed.

The signature is HMAC-SHA256 (RFC 2104) over ``<unix seconds>.<body>``, sent as ``X-EchoStack-Signature:
t=<unix seconds>,v1=<hex>``; whoever receives it recomputes it with the shared secret and refuses old times.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, SecretStr, field_validator

from echostack.connectors.http_call import HttpCaller, Redactor, Service, check_url
from echostack.connectors.http_simulated import SimulatedService
from echostack.connectors.plain import AnyWords, plain
from echostack.core.events import Event
from echostack.registry import ConnectorSettings, Context, Latency, Simulator, connector, simulates

_MAX_ANSWER = 64_000  # bytes; what a webhook answers is not read further


class WebhookSettings(ConnectorSettings):
    """Where events are posted."""

    url: SecretStr
    """http:// or https://; treated as a secret, because many services put their key into it."""
    secret: SecretStr | None = None
    """Signs every request when set; give it as {env: NAME}."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """More headers; all their values are treated as secrets."""
    max_seconds: float = Field(default=10.0, gt=0, le=300)
    """Time for one request, in seconds."""

    @field_validator("url")
    @classmethod
    def _address(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value())
        return value


@connector("webhook.send", effect=True, network=True, latency=Latency(p50=120, p95=600))
class WebhookSend:
    """Posts each event as JSON: name, kind, payload without audio, session, node, time, seq and idempotency key.

    Any status from 200 to 299 is success. Fails as http.request does, retryable where trying again may help.
    """

    def __init__(self, settings: WebhookSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        parts = urlsplit(settings.url.get_secret_value())
        secrets = [settings.url, *settings.headers.values(), *([settings.secret] if settings.secret else [])]
        secrets += [SecretStr(part) for part in (parts.path, parts.path.strip("/"), parts.query)]
        self._redact = Redactor(secrets)
        self._caller: Service = HttpCaller(
            "webhook.send", context, self._redact, seconds=settings.max_seconds, max_bytes=_MAX_ANSWER
        )

    async def open(self) -> None:
        """Make the client."""
        await self._caller.open()

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._caller.close()

    async def __call__(self, payload: AnyWords, event: Event) -> None:
        """Post one event. ConnectorFailure when it does not arrive."""
        key = self._context.idempotency_key
        document = {
            "event": event.name, "kind": event.kind, "payload": plain(payload), "session": event.session,
            "node": event.node, "time": event.time, "seq": event.seq, "idempotency_key": key,
        }  # fmt: skip
        body = msgspec.json.encode(document)
        headers = {"Content-Type": "application/json"}
        headers |= {name: value.get_secret_value() for name, value in self._settings.headers.items()}
        if key:
            headers["Idempotency-Key"] = key
        if self._settings.secret is not None:
            at = int(self._context.clock.wall())
            headers["X-EchoStack-Signature"] = signature(self._settings.secret.get_secret_value(), at, body)
        answer = await self._caller.send("POST", self._settings.url.get_secret_value(), headers, body)
        if not 200 <= answer.status < 300:
            raise self._caller.unexpected(answer)


@simulates(WebhookSend)
class WebhookSendSimulated(WebhookSend):
    """The same request to an address that takes it down: one write an event."""

    def __init__(self, settings: WebhookSettings, simulator: Simulator) -> None:
        super().__init__(settings, simulator)
        self._caller = SimulatedService("webhook.send", simulator, self._redact, seconds=settings.max_seconds)


def signature(secret: str, at: int, body: bytes) -> str:
    """The value of X-EchoStack-Signature for ``body`` sent at ``at`` (Unix seconds)."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
