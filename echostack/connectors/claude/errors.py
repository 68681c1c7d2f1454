"""What Anthropic's API says when it refuses, as failures that say what to do, without a secret."""

from __future__ import annotations

from typing import Any, Final

import httpx2
from pydantic import SecretStr

from echostack.connectors.http_call import Redactor, retry_after
from echostack.connectors.unreachable import why_unreachable
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure

_STATUSES: Final = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500,
    "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""The status that each type of error stands for: one that comes inside a stream has the status 200."""


class Refusals:
    """Makes failures of what went wrong with one node's requests. Nothing of the key gets into a message."""

    def __init__(self, name: str, place: str, model: str, key: SecretStr, clock: Clock) -> None:
        self._name, self._place, self._model, self._clock = name, place, model, clock
        self._redact = Redactor([key])

    def failure(self, error: Exception) -> ConnectorFailure:
        """``error``, raised by the SDK or by what reads its stream, as a failure; retryable where another try may help,
        with the provider's hint of when."""
        if isinstance(error, httpx2.TimeoutException):
            return ConnectorFailure(f"{self._name}: {self._place} did not answer in time")
        if isinstance(error, httpx2.HTTPError):
            return self.broken(type(error).__name__)
        cause = error.__cause__
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return self._refused(error, _STATUSES.get(str(getattr(error, "type", "")), status))
        if isinstance(cause, httpx2.TimeoutException):
            return ConnectorFailure(f"{self._name}: {self._place} did not answer in time")
        if isinstance(cause, httpx2.ConnectError):
            why = self._redact(why_unreachable(cause))
            return ConnectorFailure(f"{self._name}: cannot connect to {self._place}: {why}")
        if isinstance(cause, httpx2.HTTPError):
            return self.broken(type(cause).__name__)
        said = " ".join(self._redact(str(error)).split())[:200] or type(error).__name__
        return ConnectorFailure(f"{self._name}: {self._place} sent what is no answer of its API: {said}")

    def cut_call(self, tool: str) -> ConnectorFailure:
        """The failure for a call of ``tool`` that was cut before its arguments were whole."""
        return ConnectorFailure(
            f"{self._name}: max_tokens cut the call of {tool} before its arguments were whole: raise max_tokens",
            retryable=False,
        )

    def broken(self, why: str) -> ConnectorFailure:
        """The failure for an answer that broke off."""
        return ConnectorFailure(f"{self._name}: the answer of {self._place} broke off: {why}")

    def _refused(self, error: Any, status: int) -> ConnectorFailure:
        said = " ".join(self._redact(str(getattr(error, "api_message", None) or "")).split())[:300]
        shown = f": {said}" if said and said.isprintable() else ""
        headers = getattr(getattr(error, "response", None), "headers", {})
        what, retryable = self._advice(status, said)
        return ConnectorFailure(
            f"{self._name}: {what} ({status}{shown})", retryable=retryable, retry_after=self._hint(headers)
        )

    def _advice(self, status: int, said: str) -> tuple[str, bool]:
        """What the status means and what to do about it, and whether another try may help."""
        place = self._place
        match status:
            case 401:
                return f"{place} does not take the key: set ANTHROPIC_API_KEY, or api_key, to one that is valid", False
            case 402:
                return f"the account at {place} has to be paid for: see its billing page", False
            case 400 if "credit balance" in said:
                return f"the account at {place} has no credit left: see its billing page", False
            case 403:
                return f"the key may not do this at {place}: use one whose workspace has the model", False
            case 404:
                return f"{place} has no model {self._model!r}: set model to one that the account has", False
            case 413:
                return "the conversation is too large for one request: lower history_characters", False
            case 400 | 422:
                return f"{place} does not take the request", False
            case 429:
                return f"the account's rate at {place} is used up", True
            case 529:
                return f"{place} is overloaded", True
            case 408 | 409 | 425:
                return f"{place} did not take the request", True
            case _ if status >= 500:
                return f"{place} has failed", True
        return f"{place} refused", False

    def _hint(self, headers: Any) -> float | None:
        """Seconds after which the provider asks to be tried again; its header in milliseconds is the more exact one."""
        try:
            return min(max(0.0, float(headers.get("retry-after-ms", "")) / 1000), 3600.0)
        except ValueError:
            return retry_after(headers.get("retry-after", ""), self._clock)
