"""The far end of http.request and webhook.send in a simulated call: takes every request down, and answers as a service
with resources would (RFC 9110, section 9.3).

What it was asked is in the node's store, one write a request: ``method``, ``url``, ``path``, ``params``, ``headers``
(their names alone, because all values are treated as secrets), ``json`` or ``body``. What it holds is in the store's
records, by path. Secrets are struck out of all of it, as they are struck out of what a service answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from echostack.connectors.http_call import ACTING, Answer, Redactor, unexpected, where
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import HttpResponse
from echostack.registry import Simulator


class SimulatedService:
    """One simulated far end (``http_call.Service``), for the connector ``name``.

    POST makes a resource under the path and answers with its body and ``id``; PUT and PATCH write the resource at the
    path, DELETE removes it; GET and HEAD answer with it, or with one that has the parameters that were asked for. What
    it did under an idempotency key it does not do again, and answers the same.

    status: what success is answered with. seconds: after so many the request has failed, as it would have. ``scripted``
    of the next request is answered in place of all that.
    """

    def __init__(self, name: str, simulator: Simulator, redact: Redactor, *, seconds: float, status: int = 200) -> None:
        self._name, self._simulator, self._redact = name, simulator, redact
        self._seconds, self._status = seconds, status
        self._answered: dict[str, Any] = {}
        self.scripted: HttpResponse | None = None

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def unexpected(self, answer: Answer) -> ConnectorFailure:
        return unexpected(self._name, answer, self._redact)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, redirects: int = 0
    ) -> Answer:
        """Take the request down at once, and answer it after the connector's latency. TimeoutError when that is longer
        than the connector waits."""
        simulator, scripted = self._simulator, self.scripted
        key = next((v for n, v in headers.items() if n.lower() == "idempotency-key"), "")
        sent = self._request(method, url, headers, body)
        simulator.store.write(sent, key)
        seconds = simulator.latency()
        await simulator.clock.sleep(min(seconds, self._seconds))
        if seconds > self._seconds:
            raise TimeoutError(f"{self._name}: {where(url)} did not answer within {self._seconds:g} s")
        if scripted is not None:
            text = scripted.body or ("" if scripted.json is None else msgspec.json.encode(scripted.json).decode())
            is_json = scripted.json is not None
            return Answer(scripted.status, text, is_json, seconds, where(url))
        if key and key in self._answered:
            held = self._answered[key]
        else:
            held = self._act(method, sent, key)
            if key and method in ACTING:
                self._answered[key] = held
        text = "" if method == "HEAD" else msgspec.json.encode(held).decode()
        return Answer(self._status, text, method != "HEAD", seconds, where(url))

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, Any]:
        parts = urlsplit(url)
        shown = self._redact(where(url) + parts.path)
        params = {name: self._redact(value) for name, value in parse_qsl(parts.query, keep_blank_values=True)}
        request: dict[str, Any] = {
            "method": method, "url": shown, "path": self._redact(parts.path) or "/", "params": params,
            "headers": sorted(headers, key=str.lower), "json": None, "body": "",
        }  # fmt: skip
        if body is not None:
            text = self._redact(body.decode("utf-8", errors="replace"))
            request["body"] = text
            with suppress(msgspec.DecodeError, RecursionError):  # a body that is no JSON is kept as its text
                request["json"] = msgspec.json.decode(text)
        return request

    def _act(self, method: str, sent: Mapping[str, Any], key: str) -> Any:
        """Do what was asked for; the resource as it is then."""
        records, path = self._simulator.store.records, str(sent["path"])
        body = sent["json"] if isinstance(sent["json"], dict) else {}
        named = {"id": path.rpartition("/")[2]}
        match method:
            case "POST":
                number = key[:8] or str(len(self._simulator.store.writes))
                records[f"{path.rstrip('/')}/{number}"] = made = {"id": number, **body}
                return made
            case "PUT":
                records[path] = {**named, **body}
                return records[path]
            case "PATCH":
                records[path] = {**records.get(path, named), **body}
                return records[path]
            case "DELETE":
                return records.pop(path, named)
            case _:
                return records.get(path, {**named, **sent["params"]})
