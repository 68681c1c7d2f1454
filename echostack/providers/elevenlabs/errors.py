"""What a local ElevenLabs refuses, and in which words: the codes, statuses and shapes of the real service's errors.

Over HTTP an error is ``{"detail": {type, code, status, message, request_id}}`` under its status (ElevenLabs, "Errors"),
over a websocket ``{"message", "error", "code"}`` followed by the close of that code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

POLICY_VIOLATION: Final = 1008
"""The close code of everything that is refused over a websocket (RFC 6455, section 7.4.1)."""


@dataclass(frozen=True)
class Refusal(Exception):
    """One error: its code, the HTTP status that it has, its type, and what a person is told."""

    code: str
    status: int
    type: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, request_id: str) -> dict[str, Any]:
        """The body of an HTTP answer."""
        detail = {
            "type": self.type, "code": self.code, "status": self.code, "message": self.message,
            "request_id": request_id,
        }  # fmt: skip
        return {"detail": detail}

    def frame(self) -> dict[str, Any]:
        """The last message of a websocket."""
        return {"message": self.message, "error": self.code, "code": POLICY_VIOLATION}


def no_key() -> Refusal:
    return Refusal("invalid_api_key", 401, "authentication_error", "Invalid API key")


def no_quota(left: int, needed: int) -> Refusal:
    return Refusal(
        "quota_exceeded", 401, "payment_required",
        f"This request exceeds your quota. You have {left} credits remaining, while {needed} credits are required.",
    )  # fmt: skip


def no_voice(voice: str) -> Refusal:
    return Refusal("voice_not_found", 404, "not_found", f"A voice with voice_id {voice!r} was not found.")


def no_model(model: str) -> Refusal:
    return Refusal("model_not_found", 400, "validation_error", f"A model with model ID {model!r} does not exist.")


def no_format(name: str, known: Mapping[str, int]) -> Refusal:
    return Refusal(
        "invalid_output_format", 400, "validation_error",
        f"The output format {name!r} is not made here; there are {', '.join(known)}.",
    )  # fmt: skip


def invalid(message: str) -> Refusal:
    return Refusal("invalid_input_message", 422, "validation_error", message)


def busy() -> Refusal:
    return Refusal("system_busy", 503, "service_unavailable", "The system is under heavy load. Please try again later.")


def too_many(seconds: float) -> Refusal:
    return Refusal(
        "rate_limit_exceeded", 429, "rate_limit_error", "Too many requests in a short time. Please slow down.",
        (("Retry-After", f"{seconds:g}"),),
    )  # fmt: skip


def too_many_at_once(limit: int) -> Refusal:
    return Refusal(
        "concurrent_limit_exceeded", 429, "rate_limit_error",
        f"Too many concurrent requests. Your current subscription allows {limit}.",
    )  # fmt: skip


def too_many_contexts(limit: int) -> Refusal:
    return Refusal(
        "max_active_conversations", 400, "validation_error",
        f"Maximum simultaneous contexts per WebSocket connection exceeded ({limit}). Please close an existing context "
        "before opening a new one.",
    )  # fmt: skip


def too_quiet(seconds: float) -> Refusal:
    return Refusal(
        "input_timeout_exceeded", 400, "validation_error",
        f"Have not received a new text input within the timeout of {seconds:g} seconds. Streaming input terminated.",
    )  # fmt: skip
