"""One bounded HTTP exchange over a client of one's own, with errors told apart and no secret in any of them.

Used by http.request and webhook.send. Nothing from the machine's environment (proxies, .netrc) is used; redirects are
followed only within the same origin, because headers hold secrets that belong to it.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx2
from pydantic import SecretStr

from echostack.connectors.unreachable import why_unreachable
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure, EchoStackError, InDoubt
from echostack.registry import Context

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ACTING: Final = frozenset(("POST", "PUT", "PATCH", "DELETE"))
"""The methods that change something at the far end (RFC 9110, section 9.2.1)."""

RETRYABLE: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
_LONGEST_WAIT: Final = 3600.0  # seconds; a longer Retry-After is held to this
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the body, whether it says that it is JSON, and the seconds that it took.

    ``retry_after`` is the far end's own hint in seconds; ``place`` is the origin, as messages name it.
    """

    status: int
    text: str
    is_json: bool
    seconds: float
    place: str
    retry_after: float | None = None


class Redactor:
    """Replaces secrets in texts by ``***``. Values shorter than four characters hide nothing and are left."""

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        values = {s.get_secret_value().strip() for s in secrets}  # a key from a file ends in a line break
        # The longest first, so that a secret that holds another one goes whole.
        self._values = sorted((v for v in values if len(v) >= 4), key=lambda v: (-len(v), v))

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "***")
        return text


class Service(Protocol):
    """A far end that takes requests: one behind a socket, or a simulated one."""

    async def open(self) -> None:
        """Connect; called once, before the first request."""

    async def close(self) -> None:
        """Let go of every connection."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, redirects: int = 0
    ) -> Answer:
        """One exchange. Raises what ``HttpCaller.send`` raises."""

    def unexpected(self, answer: Answer) -> ConnectorFailure:
        """The failure for a status that was not expected."""


class HttpCaller:
    """Owns one client. ``open`` before the first ``send``, ``close`` after the last; cancelling a ``send`` closes its
    connection."""

    def __init__(self, name: str, context: Context, redact: Redactor, *, seconds: float, max_bytes: int) -> None:
        self._name = name
        self._context = context
        self._redact = redact
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._client: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        """Make the client; loading the certificates is done where blocking work belongs, once a process."""
        if self._client is None:
            trust = await self._context.compute.run(certificates)
            self._client = httpx2.AsyncClient(
                verify=trust,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(self._seconds),
                headers={"User-Agent": "echostack", "Accept-Encoding": "identity"},
                limits=httpx2.Limits(max_connections=16, max_keepalive_connections=4),
            )

    def _unanswered(self, place: str) -> TimeoutError:
        """No answer in time. A TimeoutError, because the far end may have acted: the engine then tries again here,
        under the same key, and never at another connector."""
        return TimeoutError(f"{self._name}: {place} did not answer within {self._seconds:g} s")

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, redirects: int = 0
    ) -> Answer:
        """One exchange, at most ``seconds`` long and ``max_bytes`` large, following up to ``redirects`` redirects.

        ConnectorFailure, retryable where trying again may help: no connection. TimeoutError when no answer came in time
        or when the connection broke after a request that acts had gone out. InDoubt when such a request was answered,
        and the answer cannot be taken.
        """
        if self._client is None:
            await self.open()
        place = where(url)
        started = self._context.clock.now()
        try:
            async with self._context.clock.timeout(self._seconds):
                while True:
                    status, answer_headers, data = await self._exchange(method, url, headers, body, place)
                    if status not in _REDIRECTS or redirects <= 0:
                        break
                    redirects -= 1
                    url = self._redirected(url, answer_headers.get("location", ""), place)
                    if status == 303 or (status in (301, 302) and method == "POST"):
                        method, body = "GET", None
        except TimeoutError:
            raise self._unanswered(place) from None
        except httpx2.TimeoutException:
            raise self._unanswered(place) from None
        except httpx2.ConnectError as error:
            why = self._redact(why_unreachable(error))
            raise ConnectorFailure(f"{self._name}: cannot connect to {place}: {why}") from None
        except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
            why = self._redact(str(error)) or type(error).__name__
            broke = f"{self._name}: the connection to {place} broke: {why}"
            # There was a connection, so the far end may have acted: to the engine this is no answer, not a refusal.
            raise (TimeoutError(broke) if method in ACTING else ConnectorFailure(broke)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError) as error:
            why = self._redact(str(error)) or type(error).__name__
            raise ConnectorFailure(
                f"{self._name}: the request to {place} cannot be made: {why}", retryable=False
            ) from None
        took = self._context.clock.now() - started
        wait = retry_after(answer_headers.get("retry-after", ""), self._context.clock)
        return Answer(status, _text(data, answer_headers), _is_json(answer_headers), took, place, wait)

    def unexpected(self, answer: Answer) -> ConnectorFailure:
        return unexpected(self._name, answer, self._redact)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, place: str
    ) -> tuple[int, httpx2.Headers, bytes]:
        assert self._client is not None
        async with self._client.stream(method, url, headers=dict(headers), content=body) as response:
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                # Unpacking could make any size of a small answer; it was asked for unpacked.
                raise untaken(method, f"{self._name}: {place} answered in {encoding}, which was not asked for")
            data = bytearray()
            async for piece in response.aiter_raw():
                data += piece
                if len(data) > self._max_bytes:
                    more = f"{self._name}: {place} answered with more than {self._max_bytes} bytes"
                    raise untaken(method, f"{more}: raise max_bytes to take them")
            return response.status_code, response.headers, bytes(data)

    def _redirected(self, url: str, location: str, place: str) -> str:
        target = urljoin(url, location)
        if not location or _origin(urlsplit(target)) != _origin(urlsplit(url)):
            raise ConnectorFailure(
                f"{self._name}: {place} redirects to {where(target) if location else 'nowhere'}: "
                "redirects are followed only to the same host, so write the new address as url",
                retryable=False,
            )
        return target


def untaken(method: str, message: str) -> EchoStackError:
    """The failure for an answer that cannot be taken: a request that acts may have done so."""
    return InDoubt(message) if method in ACTING else ConnectorFailure(message, retryable=False)


def unexpected(name: str, answer: Answer, redact: Redactor) -> ConnectorFailure:
    """The failure of the connector ``name`` for a status that it does not expect, with the beginning of the body."""
    said = " ".join(redact(answer.text).split())
    hint = f": {said[:200]}" if said and said.isprintable() else ""
    if answer.status in _REDIRECTS:
        hint = ": it redirects; set redirects to follow it on the same host, or write the new address as url"
    return ConnectorFailure(
        f"{name}: {answer.place} answered {answer.status}{hint}",
        retryable=answer.status in RETRYABLE,
        retry_after=answer.retry_after,
    )


def retry_after(value: str, clock: Clock) -> float | None:
    """Seconds that a Retry-After header asks for, at most an hour (RFC 9110, section 10.2.3); None if unreadable."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, when - clock.wall()), _LONGEST_WAIT) if math.isfinite(when) else None


def where(url: str) -> str:
    """``url`` as messages show it: scheme, host and port. Paths and queries may hold keys, so they are left out."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def check_url(text: str, setting: str = "url") -> str:
    """``text`` when it is an http or https address without user and password; ValueError, which names the ``setting``,
    otherwise."""
    parts = urlsplit(text.strip())
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{setting} takes an address that begins with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{setting} holds a user or password: give them as a header, {{Authorization: {{env: NAME}}}}")
    if any(c in "\r\n\t " or ord(c) < 32 for c in text.strip()):
        raise ValueError(f"{setting} holds a space or a control character: write it percent-encoded")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"{setting} has a port that is no number up to 65535") from None
    return text.strip()


@cache
def certificates() -> ssl.SSLContext:
    """The trusted certificates, loaded once a process: it takes tens of milliseconds."""
    return httpx2.create_ssl_context(trust_env=False)


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def _is_json(headers: httpx2.Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _text(data: bytes, headers: httpx2.Headers) -> str:
    charset = headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip("\"' ")
    try:
        return data.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return data.decode("utf-8", errors="replace")
