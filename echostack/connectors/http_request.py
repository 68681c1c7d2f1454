"""http.request: calls an HTTP service with what an event holds, and gives its answer on.

A node that changes something at the far end (POST, PUT, PATCH, DELETE) is an effect: it waits until its turn can no
longer be taken back, and carries an Idempotency-Key that every retry repeats (the header of the IETF draft
"The Idempotency-Key HTTP Header Field").
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import Field, SecretStr, field_validator, model_validator

from echostack.connectors.http_call import ACTING, Answer, HttpCaller, Redactor, Service, check_url, untaken, where
from echostack.connectors.http_simulated import SimulatedService
from echostack.connectors.plain import AnyWords, plain
from echostack.connectors.template import MissingField, Template, Tree
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import HttpResponse, ToolCall, ToolResult
from echostack.registry import ConnectorSettings, Context, Latency, Simulator, connector, simulates


class HttpSettings(ConnectorSettings):
    """What is called, with what, and what counts as an answer.

    Texts of url, params, headers, json and body are templates: {field} of the payload, {slots.name} of the
    conversation, {secret.name} of ``secrets`` (in params, headers, json and body), {field|words} with words to use
    when it is missing, {{ and }} for braces.
    """

    url: str
    """http:// or https://; fields may stand in the path and the query, percent-encoded, never in the host."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    """GET and HEAD only read; the others are effects."""
    params: dict[str, SecretStr] = Field(default_factory=dict)
    """Query parameters, added to those of url."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers; all their values are treated as secrets."""
    secrets: dict[str, SecretStr] = Field(default_factory=dict)
    """Values for {secret.name}, such as {env: CRM_KEY}; never shown, and struck out of answers."""
    json_body: Any = Field(default=None, alias="json")
    """The body as JSON; a text that is one field alone becomes the field's own value. By default the whole payload."""
    body: str | None = None
    """The body as text, instead of json."""
    max_seconds: float = Field(default=10.0, gt=0, le=300)
    """Time for the whole exchange, in seconds."""
    expect: tuple[int, ...] = ()
    """Statuses that are answers; 200 to 299 when empty. Any other is a failure."""
    max_bytes: int = Field(default=1_000_000, ge=1, le=100_000_000)
    """The largest body that is taken, in bytes."""
    redirects: int = Field(default=0, ge=0, le=10)
    """How many redirects are followed, on the same host only."""

    @field_validator("expect", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @field_validator("method", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reads(self) -> HttpSettings:
        address = Template(self.url)
        first = address.parts[0] if address.parts else ""
        literal = first if isinstance(first, str) else ""
        host = literal.partition("://")[2]
        if address.fields and not any(c in host for c in "/?"):
            raise ValueError("url has a field in its host: where a call goes must stand in the file")
        check_url("".join(p if isinstance(p, str) else "x" for p in address.parts))
        if any(f.path[0] == "secret" for f in address.fields):
            raise ValueError("url shows in messages: put the secret into headers or params")
        if self.json_body is not None and self.body is not None:
            raise ValueError("json and body cannot both be the body")
        if self.method in ("GET", "HEAD") and (self.json_body is not None or self.body is not None):
            raise ValueError(f"{self.method} sends no body: use params, or another method")
        used = [*Tree(self.json_body).fields(), *(Template(self.body).fields if self.body else ())]
        for value in (*self.params.values(), *self.headers.values()):
            try:
                used += Template(value.get_secret_value()).fields
            except ValueError:  # its message would quote the value
                raise ValueError(
                    "a value of headers or params has a brace that does not fit: write {{ and }}"
                ) from None
        for field in used:
            if field.path[0] == "secret" and (len(field.path) != 2 or field.path[1] not in self.secrets):
                raise ValueError(f"{{{field.name}}} names no entry of secrets")
        for name in self.headers:
            if not name or not all(c.isascii() and (c.isalnum() or c in "-_.!#$%&'*+^`|~") for c in name):
                raise ValueError(f"{name!r} is not the name of a header")
        return self


def _acts(settings: Any) -> bool:
    return settings.method in ACTING


@connector("http.request", effect=True, effect_when=_acts, network=True, latency=Latency(p50=120, p95=600))
class HttpRequest:
    """Calls an HTTP service with fields of the event, and gives its answer on as http_response.

    A model's tool_call is answered with a tool_result instead: what the service answered, as JSON where it is. A call
    that fails for good is told to the model as well. The call's arguments are {arguments.name} in templates.

    Fails, retryable, when the service cannot be reached, does not answer in time, or answers 408, 425, 429, 500, 502,
    503 or 504 (waiting as Retry-After says); fails for good with any other status that is not expected.
    """

    def __init__(self, settings: HttpSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._url = Template(settings.url)
        self._params = {k: Template(v.get_secret_value()) for k, v in settings.params.items()}
        self._headers = {k: Template(v.get_secret_value()) for k, v in settings.headers.items()}
        self._json = Tree(settings.json_body) if settings.json_body is not None else None
        self._body = Template(settings.body) if settings.body is not None else None
        self._secret = {k: v.get_secret_value() for k, v in settings.secrets.items()}
        known = [*settings.secrets.values(), *settings.headers.values(), *settings.params.values()]
        # "Bearer abc": the far end may echo the token alone.
        known += [SecretStr(p) for h in settings.headers.values() for p in h.get_secret_value().split() if len(p) >= 8]
        self._redact = Redactor(known)
        self._caller: Service = HttpCaller(
            "http.request", context, self._redact, seconds=settings.max_seconds, max_bytes=settings.max_bytes
        )

    async def open(self) -> None:
        """Make the client."""
        await self._caller.open()

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._caller.close()

    async def __call__(self, event: AnyWords) -> HttpResponse | ToolResult:
        """The service's answer to one event. ConnectorFailure as the class says; cancelling closes the connection."""
        answer = await self._ask(event)
        if not isinstance(event, ToolCall):
            return answer
        if not event.id:
            # Nobody waits for a call without an id: what it brought is a response like any other.
            return answer
        return ToolResult(event.name, event.id, answer.json if answer.json is not None else answer.body)

    async def _ask(self, event: AnyWords) -> HttpResponse:
        settings = self._settings
        around = {"kind": event.__kind__.name, "session": self._context.session}
        slots = plain(self._context.conversation.slots)
        own = plain(event)
        # An intent has slots of its own; the call's are under the same name where it has not.
        data = {**around, **own, "slots": {**slots, **own.get("slots", {})}}
        try:
            url, headers, body = self._request({**data, "secret": self._secret}, plain(event))
        except MissingField as error:
            raise ConnectorFailure(
                f"http.request: {error}, in {event.__kind__.name}; write {{{error.field.name}|words}} to do without",
                retryable=False,
            ) from None
        answer = await self._caller.send(settings.method, url, headers, body, redirects=settings.redirects)
        if not (answer.status in settings.expect if settings.expect else 200 <= answer.status < 300):
            raise self._caller.unexpected(answer)
        return HttpResponse(
            answer.status, self._redact(answer.text), self._decoded(answer), self._shown(url), answer.seconds * 1000
        )

    def _request(self, data: dict[str, Any], payload: dict[str, Any]) -> tuple[str, dict[str, str], bytes | None]:
        url = self._url.render({k: v for k, v in data.items() if k != "secret"}, _encoded)
        pairs = [f"{quote(k, safe='')}={quote(t.render(data), safe='')}" for k, t in self._params.items()]
        if pairs:
            address, mark, fragment = url.partition("#")
            url = address + ("&" if "?" in address else "?") + "&".join(pairs) + mark + fragment
        headers = {}
        for name, template in self._headers.items():
            value = template.render(data)
            if any(c in "\r\n\0" for c in value):
                raise ConnectorFailure(f"http.request: the header {name} would hold a line break", retryable=False)
            headers[name] = value
        given = {name.lower() for name in headers}
        body: bytes | None = None
        if self._settings.method not in ("GET", "HEAD"):
            if self._body is not None:
                body, kind = self._body.render(data).encode(), "text/plain; charset=utf-8"
            else:
                document = self._json.render(data) if self._json is not None else payload
                body, kind = msgspec.json.encode(document), "application/json"
            if "content-type" not in given:
                headers["Content-Type"] = kind
            key = self._context.idempotency_key
            if key and "idempotency-key" not in given:
                headers["Idempotency-Key"] = key
        if "accept" not in given:
            headers["Accept"] = "application/json, text/*;q=0.9, */*;q=0.5"
        return url, headers, body

    def _decoded(self, answer: Answer) -> Any:
        if not answer.text.strip():
            return None
        try:
            return msgspec.json.decode(self._redact(answer.text))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            if answer.is_json:
                said = f"http.request: {answer.place} says that it answers in JSON, and does not"
                raise untaken(self._settings.method, said) from None
            return None

    def _shown(self, url: str) -> str:
        return self._redact(where(url) + urlsplit(url).path)


@simulates(HttpRequest)
class HttpRequestSimulated(HttpRequest):
    """The same request, put together and checked as ever, to a service that keeps resources of its own.

    An http_response that the scenario gives is the service's answer: one of another status fails as it would.
    """

    def __init__(self, settings: HttpSettings, simulator: Simulator) -> None:
        super().__init__(settings, simulator)
        status = settings.expect[0] if settings.expect and 200 not in settings.expect else 200
        self._simulator = simulator
        self._caller = self._service = SimulatedService(
            "http.request", simulator, self._redact, seconds=settings.max_seconds, status=status
        )

    async def __call__(self, event: AnyWords) -> HttpResponse | ToolResult:
        """The answer to one event. Raises what HttpRequest does."""
        scripted = self._simulator.scripted(event)
        answers = [p for p in scripted or () if isinstance(p, HttpResponse)]
        self._service.scripted = answers[0] if answers else None
        return await super().__call__(event)


def _encoded(value: str) -> str:
    if value in (".", ".."):
        # A dot segment survives encoding and would climb out of the path that the file names.
        raise ConnectorFailure(
            "http.request: a field of url holds only dots, which would change the path", retryable=False
        )
    return quote(value, safe="")
