"""What ElevenLabs refuses, in words that say what to do; without secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from echostack.core.errors import ConnectorFailure

NAME: Final = "elevenlabs.tts"

_CONNECTION: Final = frozenset((
    "input_timeout_exceeded", "max_active_conversations", "internal_server_error", "internal_error", "server_error",
))  # fmt: skip
_KEY: Final = frozenset(("invalid_api_key", "needs_authorization", "missing_api_key", "authentication_error"))
_PERMISSION: Final = frozenset(("missing_permissions", "forbidden", "insufficient_permissions", "only_for_creator+"))
_QUOTA: Final = frozenset((
    "quota_exceeded", "payment_required", "insufficient_credits", "subscription_required", "payment_issue",
))  # fmt: skip
_VOICE: Final = frozenset((
    "voice_not_found", "voice_does_not_exist", "voice_id_does_not_exist", "voice_not_fine_tuned", "invalid_voice",
    "voice_access_denied", "voice_limit_reached",
))  # fmt: skip
_MODEL: Final = frozenset(("model_not_found", "invalid_model_id", "model_access_denied", "unsupported_model"))
_FORMAT: Final = frozenset(("invalid_output_format", "output_format_not_allowed"))
_CONCURRENCY: Final = frozenset((
    "concurrent_limit_exceeded", "too_many_concurrent_requests", "too_many_concurrent_connections",
))  # fmt: skip
_RATE: Final = frozenset(("rate_limit_exceeded", "rate_limit_error"))
_WORDS: Final = (
    # The first that is found counts: a complaint about the manner of speaking says nothing against the voice.
    ("voice_settings", "invalid_voice_settings"),
    ("api key", "invalid_api_key"), ("api_key", "invalid_api_key"), ("quota", "quota_exceeded"),
    ("credits", "quota_exceeded"), ("voice", "voice_not_found"), ("model", "model_not_found"),
    ("output format", "invalid_output_format"), ("concurrent", "concurrent_limit_exceeded"),
)  # fmt: skip
_BUSY: Final = frozenset(("system_busy", "service_unavailable"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, and of whom, as messages name it. ``redact`` strikes out secrets."""

    place: str
    voice_id: str
    model_id: str
    rate: int
    redact: Callable[[str], str]


def refused(
    asked: Asked, code: str, status: int = 0, said: str = "", retry_after: float | None = None
) -> ConnectorFailure:
    """The failure for an error of the service: its ``code``, the HTTP ``status`` (0 over a websocket) and its words."""
    told = " ".join(asked.redact(said).split())[:200].rstrip(".")
    because = f" ({told})" if told and told.isprintable() else ""
    which = " ".join(str(x) for x in (status or "", asked.redact(code)[:80]) if x)
    at = f"{asked.place} answered {which}" if which else asked.place
    if code in _CONCURRENCY:
        text = f"too many syntheses at once for this account: {at}{because}: wait for one to end, or raise its limit"
        return ConnectorFailure(f"{NAME}: {text}", retry_after=retry_after)
    if code in _RATE or status == 429:
        return ConnectorFailure(f"{NAME}: too many requests: {at}{because}: try again later", retry_after=retry_after)
    if code in _QUOTA or status == 402:
        what = f"the account has no characters left: {at}{because}: buy more, or wait for its next month"
    elif code in _MODEL:
        what = f"there is no model {asked.model_id!r} for this account: {at}{because}: set model_id to one there is"
    elif code in _FORMAT:
        what = f"audio at {asked.rate} Hz is not to be had: {at}{because}: set rate to another"
    elif code in _VOICE or status == 404:
        what = (
            f"there is no voice {asked.voice_id!r} for this account: {at}{because}: set voice_id to one of its voices"
        )
    elif code in _PERMISSION or (status == 403 and code not in _KEY):
        what = f"the key may not do this: {at}{because}: give it the permission for text to speech"
    elif code in _KEY or status == 401:
        what = f"the key is not taken: {at}{because}: set ELEVENLABS_API_KEY to a valid key"
    elif code in _BUSY or code in _CONNECTION or status >= 500 or status in (408, 409, 425):
        return ConnectorFailure(f"{NAME}: {at}{because}", retry_after=retry_after)
    elif 300 <= status < 400:
        what = f"{at}, a redirect, which is not followed with a key: set base_url to the new address"
    else:
        what = f"the request was refused: {at}{because}"
    return ConnectorFailure(f"{NAME}: {what}", retryable=False)


def code_of(body: Any) -> tuple[str, str]:
    """The code and the words of an error's body, ``{"detail": …}`` in any of the shapes that it has had."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return "", detail
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return "", str(detail[0].get("msg", ""))
    if not isinstance(detail, dict):
        return "", ""
    return str(detail.get("code") or detail.get("status") or ""), str(detail.get("message") or "")


def ends_only_the_connection(code: str) -> bool:
    """Whether an error is about the connection and says nothing against another one."""
    return code in _CONNECTION


def code_from_words(reason: str) -> str:
    """The code that the reason of a closed connection stands for, where no error came before it; empty if unknown."""
    said = reason.casefold()
    return next((code for words, code in _WORDS if words in said), "")
