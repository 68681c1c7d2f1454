"""What goes wrong with a chat completions API, as one sentence that says where, what, and what to do."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from echostack.connectors.http_call import Redactor, where
from echostack.connectors.unreachable import why_unreachable
from echostack.core.errors import ConnectorFailure

_LONGEST: Final = 3600.0  # seconds; a longer hint is held to this
_SHOWN: Final = 200  # characters of what the provider says
_SPENT: Final = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
_NO_TOOLS: Final = ("does not support tools", "enable-auto-tool-choice", "tools param requires")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, in the words of one connector: about its key, its model, a server that is not there, and a model that
    cannot call tools. ``{model}`` is filled in."""

    key: str
    model: str
    unreachable: str
    tools: str


class Failures:
    """Makes the failures of one node. None of them holds the key, nor any of the caller's words."""

    def __init__(self, node: str, base_url: str, model: str, api_key: str, advice: Advice) -> None:
        self._node, self._place, self._model = node, where(base_url), model
        self._redact = Redactor([SecretStr(api_key)])
        self._advice = advice

    def no_key(self) -> ConnectorFailure:
        """The key is empty, or holds what cannot be sent."""
        return self._final(f"the key is empty or holds characters that no key has: {self._advice.key}")

    def broken(self, *, begun: bool) -> ConnectorFailure:
        """The stream ended, and the answer had not."""
        if begun:
            return self._again(f"{self._place} ended the connection in the middle of its answer")
        return self._again(f"{self._place} answered with nothing that is a chat completion: see that base_url is right")

    def endless(self, max_tokens: int) -> ConnectorFailure:
        """More came than was asked for."""
        return self._again(f"{self._place} goes on answering past max_tokens ({max_tokens})")

    def cut_call(self, tool: str) -> ConnectorFailure:
        """A call was cut before its arguments were whole."""
        return self._final(f"max_tokens cut the call of {tool} before its arguments were whole: raise max_tokens")

    def of(self, error: Exception, *, begun: bool) -> ConnectorFailure:
        """The failure for what the SDK, its transport or its decoder raised."""
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._status(status, error)
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return self._again(f"{self._place} sent something that is not JSON{' in its answer' if begun else ''}")
        if isinstance(getattr(error, "body", None), Mapping):
            return self._told(error)
        cause = error.__cause__ or error
        if type(cause).__name__ in ("ConnectError", "ConnectTimeout", "ConnectionRefusedError"):
            why = self._redact(why_unreachable(cause).partition(": ")[0])  # what to look at is in the advice
            return self._again(f"cannot connect to {self._place} ({why[:_SHOWN]}): {self._advice.unreachable}")
        if begun:
            return self._again(f"the connection to {self._place} broke in the middle of the answer")
        why = self._redact(str(cause)) or type(cause).__name__
        return self._again(f"the connection to {self._place} broke before the answer began ({why[:_SHOWN]})")

    def _told(self, error: Exception) -> ConnectorFailure:
        """An error that came inside a stream that had begun well."""
        code = getattr(error, "code", None) or ""
        if code in _SPENT:
            return self._spent(error)
        return self._again(f"{self._place} broke its answer off{self._said(error)}")

    def _status(self, status: int, error: Exception) -> ConnectorFailure:
        code, said = getattr(error, "code", None) or "", self._said(error)
        if status == 401:
            return self._final(f"{self._place} does not take the key (401): {self._advice.key}")
        if status == 403:
            return self._final(f"{self._place} does not let this key use {self._model!r} (403){said}")
        if status == 404:
            if code == "model_not_found" or "model" in said.lower():
                return self._final(f"{self._place} has no model {self._model!r} (404): {self._advised_model}")
            return self._final(
                f"{self._place} has no chat completions there (404): see that base_url is right; it mostly ends in /v1"
            )
        if code in _SPENT or getattr(error, "type", None) in _SPENT:
            return self._spent(error)
        if status == 429:
            wait = hint(getattr(getattr(error, "response", None), "headers", {}))
            when = f"; it says to come again in {wait:g} s" if wait is not None else ""
            return ConnectorFailure(
                f"{self._node}: {self._place} limits the rate of requests (429){when}", retry_after=wait
            )
        if status in (408, 409) or status >= 500:
            wait = hint(getattr(getattr(error, "response", None), "headers", {}))
            return ConnectorFailure(
                f"{self._node}: {self._place} is down or overloaded ({status}){said}", retry_after=wait
            )
        kind = getattr(error, "type", None) or ""
        if code == "context_length_exceeded" or kind == "exceed_context_size_error" or "context length" in said:
            return self._final(
                f"the conversation is longer than {self._model!r} can read ({status}): lower history_turns or "
                "history_characters, or shorten system"
            )
        if any(mark in said for mark in _NO_TOOLS):
            return self._final(f"{self._model!r} at {self._place} cannot call tools: {self._advice.tools}")
        return self._final(f"{self._place} does not take the request ({status}){said}")

    def _spent(self, error: Exception) -> ConnectorFailure:
        return self._final(
            f"the account at {self._place} has no credit left ({getattr(error, 'code', None) or 429}): add some, or "
            "raise its limit, with the provider"
        )

    @property
    def _advised_model(self) -> str:
        return self._advice.model.format(model=self._model)

    def _said(self, error: Exception) -> str:
        body = getattr(error, "body", None)
        said = body.get("message") if isinstance(body, Mapping) else body
        if not isinstance(said, str):
            return ""
        said = " ".join(self._redact(said).split())
        return f": {said[:_SHOWN]}" if said and said.isprintable() else ""

    def _again(self, what: str) -> ConnectorFailure:
        return ConnectorFailure(f"{self._node}: {what}")

    def _final(self, what: str) -> ConnectorFailure:
        return ConnectorFailure(f"{self._node}: {what}", retryable=False)


def hint(headers: Mapping[str, Any]) -> float | None:
    """The seconds that an answer's headers ask to wait: retry-after-ms, retry-after, or when the limits are reset."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, _LONGEST)
    waits = []
    for what in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{what}") == "0":
            parts = _PART.findall(headers.get(f"x-ratelimit-reset-{what}", ""))
            waits += [sum(float(number) * _UNITS[unit] for number, unit in parts)] if parts else []
    return min(max(waits), _LONGEST) if waits else None
