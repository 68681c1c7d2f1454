"""Failures as events: every error of a node becomes ``error.<source>.<kind>``, counted and contained there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import tenacity

from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure, InDoubt
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import (
    DeadLetter,
    ExceptionFailure,
    FailedOver,
    Late,
    Recovered,
    Retried,
    TimeoutFailure,
    ToolCall,
    ToolResult,
)
from echostack.language.document import NodePolicy
from echostack.plan.model import PlanNode
from echostack.registry.secret import WORTH_HIDING, secrets_in
from echostack.runtime.core import Core

PATIENCE = 30.0
"""Seconds that a node waits for one answer, and at most before a try, when the file names no ``timeout``."""


class Failures:
    """Turns exceptions into the session's error events. A failure never leaves the node that it happened in."""

    def __init__(self, core: Core, nodes: Mapping[str, PlanNode]) -> None:
        self._core, self._nodes = core, nodes
        self.deliver: Callable[[str, Payload, Event], None] | None = None
        """Brings a payload out of a node, as if its connector had answered the event."""

    def report(self, node: str, error: BaseException, cause: Event | None = None, *, attempt: int = 1) -> None:
        """An error of ``node`` while it worked on ``cause``; also what a fused node's failure comes to."""
        about = self._about(node, error, cause, attempt)
        if isinstance(error, TimeoutError):
            self._emit(node, TimeoutFailure(*about), cause)
        else:
            self._emit(node, ExceptionFailure(*about), cause)

    def given_up(
        self, node: str, error: BaseException, cause: Event, *, attempt: int = 1, doubtful: bool = False
    ) -> None:
        """Every attempt failed: the error, and the event itself as a dead letter when it may not be lost. doubtful: an
        effect may have been done all the same."""
        self.report(node, error, cause, attempt=attempt)
        if not cause.payload.__kind__.lossy:
            self.dead_letter(node, error, cause, attempt=attempt, doubtful=doubtful)

    def dead_letter(
        self, node: str, error: BaseException, cause: Event, *, attempt: int = 1, doubtful: bool = False
    ) -> None:
        """``cause`` itself, which ``error`` kept ``node`` from handling, for whoever looks after such. Whoever called a
        tool is told that nothing comes of it."""
        plain = plain_payload(cause.payload)
        self._emit(node, DeadLetter(*self._about(node, error, cause, attempt), plain), cause)
        self.answer_call(node, error, cause, doubtful=doubtful)

    def answer_call(self, node: str, error: BaseException, cause: Event, *, doubtful: bool = False) -> None:
        """The result of a tool call that ``node`` never answers, so that no model waits for one for ever; none for a
        turn that is over: nobody waits there. Nothing, for anything but a call to a node that answers calls."""
        call = cause.payload
        if not isinstance(call, ToolCall):
            return
        known = self._nodes.get(node)
        maker = self._nodes.get(known.members[0]) if known is not None and known.members else known
        if maker is None or maker.spec is None or ToolResult not in maker.spec.produces or self.deliver is None:
            return
        if not self._core.epochs.live(cause):
            return
        said = self._without_secrets(describe(error))
        if doubtful:
            said += "; it is not known whether it was done"
        self.deliver(maker.id, ToolResult(call.name, call.id, error=said), cause)

    def _without_secrets(self, text: str) -> str:
        """``text`` without what is secret in any node's settings: a result goes to a model, and from there anywhere."""
        found = {s for n in self._nodes.values() for s in secrets_in(n.settings) if len(s) >= WORTH_HIDING}
        for secret in sorted(found, key=lambda s: (-len(s), s)):
            text = text.replace(secret, "**********")
        return text

    def retried(self, node: str, error: BaseException, cause: Event | None, attempt: int) -> None:
        self._emit(node, Retried(*self._about(node, error, cause, attempt)), cause)

    def late(self, node: str, message: str) -> None:
        self._emit(node, Late(node, message), None)

    def failed_over(self, node: str, error: BaseException, cause: Event, to: str) -> None:
        """A member of a choice failed, and ``to`` takes the same event."""
        self._emit(node, FailedOver(*self._about(node, error, cause, 1), to=to), cause)

    def recovered(self, node: str, cause: Event) -> None:
        """A probe found a failed member of a choice working."""
        self._emit(node, Recovered(node, "answers again", cause.name), cause)

    def _about(
        self, node: str, error: BaseException, cause: Event | None, attempt: int
    ) -> tuple[str, str, str, int, float]:
        """What every failure tells: who, what, about which event, at which try, how long after the event was made."""
        elapsed = (self._core.clock.now() - cause.time) * 1000 if cause is not None and cause.seq else 0.0
        return node, describe(error), cause.name if cause is not None else "", attempt, max(0.0, elapsed)

    def _emit(self, node: str, payload: Payload, cause: Event | None) -> None:
        plan_node = self._nodes.get(node)
        self._core.counters.node(node).failed(payload.__kind__.name)
        # A task of the session itself has no node, and its name is no part of an event's name.
        self._core.engine_emit("error", plan_node.source if plan_node else "call", payload, cause, node)


def describe(error: BaseException) -> str:
    """The error in words: its message, with its class where the message alone would not say enough, and its notes."""
    text = str(error).strip()
    if isinstance(error, ConnectorFailure | InDoubt) and text:
        return text
    if isinstance(error, TimeoutError):
        return text or "no answer within its time"
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    notes = "; ".join(note for note in getattr(error, "__notes__", ()) if note)
    return f"{words} ({notes})" if notes else words


def plain_payload(payload: Payload) -> dict[str, Any]:
    """A payload as plain data, audio replaced by its length in bytes: for logs and dead letters."""
    data = {f: getattr(payload, f) for f in payload.__struct_fields__}
    return {k: f"{len(v)} bytes" if isinstance(v, bytes) else msgspec.to_builtins(v) for k, v in data.items()}


def retrying(
    policy: NodePolicy, clock: Clock, random: Any, before_retry: Callable[[BaseException, int], None]
) -> tenacity.AsyncRetrying:
    """The retry loop of a node's policy: exponential backoff with full jitter, or the far end's own hint.

    Only failures that say so are tried again: timeouts, broken connections and retryable ConnectorFailures. The
    jitter is the session's seeded randomness, the sleep the session's clock.
    """

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        hint = getattr(error, "retry_after", None)
        if hint is not None:
            return max(0.0, float(hint))
        longest = policy.backoff * 2 ** (state.attempt_number - 1)
        return float(random.uniform(longest / 2, longest))

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            before_retry(error, state.attempt_number)

    return tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(policy.attempts),
        wait=wait,
        retry=tenacity.retry_if_exception(retryable),
        sleep=clock.sleep,
        before_sleep=before_sleep,
        reraise=True,
    )


def in_patience(error: Exception, policy: NodePolicy) -> Exception:
    """``error``, or, when its far end asks to wait for longer than the node waits for anything, one that is final."""
    hint = getattr(error, "retry_after", None)
    patience = policy.timeout or PATIENCE
    if hint is None or not retryable(error) or float(hint) <= patience:
        return error
    asks = f"asks to be tried again in {float(hint):g} s, and this node waits {patience:g} s at most"
    return ConnectorFailure(f"{describe(error)} ({asks})", retryable=False)


def retryable(error: BaseException) -> bool:
    """Whether trying the same again may help."""
    if isinstance(error, asyncio.CancelledError):
        return False
    if isinstance(error, ConnectorFailure):
        return error.retryable
    return isinstance(error, TimeoutError | ConnectionError | OSError)
