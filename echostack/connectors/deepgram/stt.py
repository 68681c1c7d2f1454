"""``deepgram.stt``: recognises the caller's speech by Deepgram's live API, and finds the ends of turns.

Its settings stand in ``settings``, one run of it in ``hearing``, one connection in ``link``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from echostack.connectors.alongside import Alongside
from echostack.connectors.deepgram.hearing import Hearing
from echostack.connectors.deepgram.link import WHO, LinkLost, Sdk, host_of, refused, shared_sdk
from echostack.connectors.deepgram.settings import DeepgramSettings
from echostack.connectors.keys import header_key
from echostack.connectors.unreachable import why_unreachable
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame, SpeechStopped, Text, TextPartial, TextSegment, Usage
from echostack.registry import Context, Inbox, Latency, Out, connector


@connector(
    "deepgram.stt",
    input_format=lambda settings: AudioFormat(settings.sample_rate),
    # Deepgram's own figures: 300 ms of endpointing by these settings, and results in less than 300 ms.
    latency=Latency(p50=500, p95=600),
    network=True,
    attempts=3,
    packages=("deepgram",),
    extra="deepgram",
)
class DeepgramStt:
    """Recognises speech by Deepgram's live API (nova-3), and finds the ends of turns.

    A ``text`` is a whole turn, ended by Deepgram's endpointing (``endpointing_ms`` of silence), or by its word timing
    where noise hides the silence (``utterance_end_ms``), with the confidence and the times of its words; ``waited_ms``
    is the time from the end of its last word. ``text.partial`` shows the turn so far, ``text.segment`` a piece of it
    that will not change. A ``speech_stopped`` that is led to it ends the turn as well: what was said is then recognised
    for good at once. ``usage`` tells the seconds of audio sent, at the end of each turn.

    Audio is kept until it is recognised for good. When the connection is lost, or no longer answers, another one gets
    it from there: no word is lost and none is said twice. When there is no connection to be had it fails, so that
    ``deepgram.stt ?? moonshine.stt`` goes on with the other. Cancelling it closes the connection at once and loses the
    turn that was going on. An interruption of the agent does not disturb it.

    Simulated: by a recogniser that hears the scripted words.
    """

    def __init__(self, settings: DeepgramSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._loaded: tuple[Sdk, Any] | None = None

    @staticmethod
    async def probe(settings: DeepgramSettings) -> None:
        """Ask Deepgram whether it knows the key. ConnectorFailure that says what is wrong."""
        sdk, where = shared_sdk(), host_of(settings.base_url)
        async with sdk.http_client(timeout=settings.connect_s) as http:
            client = sdk.client(settings.base_url, _key(settings), http)
            try:
                await client.manage.v1.projects.list()
            except sdk.api_error as error:
                if getattr(error, "status_code", None) == 403:
                    return  # a key for recognition alone may list nothing
                failure = refused(error, where)
                raise _unavailable(where, failure.reason) if isinstance(failure, LinkLost) else failure from None
            except sdk.http_error as error:
                raise _unavailable(where, f"cannot be reached: {why_unreachable(error)}") from None

    async def open(self) -> None:
        """Load the SDK before the call begins. ConnectorFailure without a key, MissingExtra without the package."""
        await self._sdk()

    def interrupted(self) -> None:
        """The caller's words outlive an interruption of the agent: there is nothing to forget."""

    async def run(
        self, inbox: Inbox[AudioFrame | SpeechStopped]
    ) -> AsyncIterator[Text | TextPartial | TextSegment | Usage | Out]:
        sdk, client = await self._sdk()
        hearing = Hearing(self._settings, self._context, sdk, client)
        async with Alongside(hearing.listen(inbox)), Alongside(hearing.converse()):
            while (out := await hearing.next()) is not None:
                yield out

    async def _sdk(self) -> tuple[Sdk, Any]:
        if self._loaded is None:
            key = _key(self._settings)
            sdk = await self._context.compute.run(shared_sdk)
            self._loaded = sdk, sdk.client(self._settings.base_url, key)
        return self._loaded


def _key(settings: DeepgramSettings) -> str:
    return header_key(settings.api_key, node=WHO, variable="DEEPGRAM_API_KEY", source="https://console.deepgram.com")


def _unavailable(where: str, why: str) -> ConnectorFailure:
    return ConnectorFailure(f"deepgram.stt: {where} {why}")
