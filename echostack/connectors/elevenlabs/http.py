"""How messages become speech over HTTP: a request to ElevenLabs for each piece, through its own SDK."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import httpx2

from echostack.connectors.elevenlabs.errors import NAME, Asked, code_of, refused
from echostack.connectors.elevenlabs.settings import ElevenLabsTtsSettings
from echostack.connectors.elevenlabs.speaker import Said
from echostack.connectors.elevenlabs.words import SpokenText
from echostack.connectors.http_call import Redactor, certificates, where
from echostack.connectors.unreachable import why_unreachable
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Usage, Word
from echostack.registry import Context

_KEPT: Final = 300.0  # seconds that an idle connection is kept: between two replies it is idle for long
_BEFORE: Final = 500  # characters of what was said before, which the service is told for the sake of its prosody
_KNOWN: Final = 64  # messages begun and not ended


class HttpSpeaker:
    """Speaks each piece with a request of its own; cancelled, it breaks the request off."""

    def __init__(self, settings: ElevenLabsTtsSettings, asked: Asked, context: Context) -> None:
        self._settings, self._asked, self._context, self._clock = settings, asked, context, context.clock
        self._client: Any = None
        self._http: Any = None
        self._said: dict[str, str] = {}
        self._characters: dict[str, int] = {}

    async def open(self) -> None:
        """Make the client; it connects with the first request."""
        import httpx
        from elevenlabs import AsyncElevenLabs

        s = self._settings
        key = s.key
        trust = await self._context.compute.run(certificates)
        self._http = httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            timeout=httpx.Timeout(60.0, connect=s.connect_s),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=_KEPT),
        )
        self._client = AsyncElevenLabs(api_key=key, base_url=s.base_url, httpx_client=self._http)

    async def close(self) -> None:
        http, self._http, self._client = self._http, None, None
        self._said.clear()
        self._characters.clear()
        if http is not None:
            await http.aclose()

    def used(self, utterance: str) -> int:
        return self._characters.pop(utterance, 0)

    def snapshot(self) -> frozenset[str]:
        return frozenset(self._said)

    def restore(self, kept: frozenset[str] | None) -> None:
        for name in [n for n in self._said if n not in (kept or ())]:
            self._forget(name)

    async def speak(self, utterance: str, spoken: str, *, last: bool) -> AsyncGenerator[Said, None]:
        whole = False
        try:
            if spoken:
                for name in list(self._said)[: max(0, len(self._said) - _KNOWN)]:
                    self._forget(name)
                before = self._said.get(utterance, "")
                self._said[utterance] = f"{before} {spoken}".strip()[-_BEFORE:]
                self._characters[utterance] = self._characters.get(utterance, 0) + len(spoken)
                async with aclosing(self._request(spoken, before)) as pieces:
                    async for said in pieces:
                        yield said
            whole = True
        finally:
            if not whole and (characters := self._characters.get(utterance)):
                self._context.emit(Usage(self._settings.model_id, characters=characters))
            if last or not whole:
                self._said.pop(utterance, None)
            if not whole:
                self._characters.pop(utterance, None)

    def _forget(self, utterance: str) -> None:
        self._said.pop(utterance, None)
        self._characters.pop(utterance, None)

    async def _request(self, spoken: str, before: str) -> AsyncGenerator[Said, None]:
        if self._client is None:
            await self.open()
        text, place = SpokenText(), self._asked.place
        text.add(spoken)
        answer = self._client.text_to_speech.stream_with_timestamps(
            self._settings.voice_id, text=spoken, request_options={"max_retries": 0}, **self._how(before)
        )
        at, begun, torn = 0.0, False, b""
        try:
            while (chunk := await self._next(answer, begun)) is not None:
                pcm = torn + _audio(chunk.audio_base_64, place)
                torn, pcm = pcm[len(pcm) // 2 * 2 :], pcm[: len(pcm) // 2 * 2]
                words = []
                if (told := chunk.alignment or chunk.normalized_alignment) is not None:
                    starts = [s * 1000 for s in told.character_start_times_seconds]
                    ends = [e * 1000 for e in told.character_end_times_seconds]
                    words = text.hear(told.characters, starts, ends)
                own = tuple(Word(w.text, round(w.start_ms - at, 3), round(w.end_ms - at, 3)) for w in words)
                at += len(pcm) / 2 / self._settings.rate * 1000
                if at > 5_000 + 400 * len(spoken):
                    raise ConnectorFailure(f"{NAME}: {place} gave more audio than the text can have")
                yield Said(pcm, own, begins=not begun)
                begun = True
        finally:
            await answer.aclose()
        if not begun:
            raise ConnectorFailure(f"{NAME}: {place} gave no audio")
        if text.told and not text.nearly:
            raise ConnectorFailure(f"{NAME}: {place} ended before everything was said")

    def _how(self, before: str) -> dict[str, Any]:
        from elevenlabs import VoiceSettings

        s = self._settings
        given = {"stability": s.stability, "similarity_boost": s.similarity_boost, "style": s.style}
        manner: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        how: dict[str, Any] = {
            "model_id": s.model_id, "output_format": f"pcm_{s.rate}", "apply_text_normalization": s.normalization,
        }  # fmt: skip
        if manner or s.speed != 1.0:
            how["voice_settings"] = VoiceSettings(**manner, speed=s.speed)
        if s.language:
            how["language_code"] = s.language
        if before:
            how["previous_text"] = before
        return how

    async def _next(self, answer: Any, begun: bool) -> Any:
        """The next chunk; None at the end. ConnectorFailure when there is none in time, or the request failed."""
        import httpx
        from elevenlabs.core.api_error import ApiError

        s, asked = self._settings, self._asked
        try:
            async with self._clock.timeout(s.gap_s if begun else s.first_audio_s):
                return await anext(answer, None)
        except (TimeoutError, httpx.TimeoutException):
            what = f"no audio for {s.gap_s:g} s" if begun else f"no audio within {s.first_audio_s:g} s"
            raise ConnectorFailure(f"{NAME}: {asked.place} gave {what}") from None
        except ApiError as error:
            code, said = code_of(error.body)
            after = str((error.headers or {}).get("retry-after", ""))
            wait = float(after) if after.isdigit() else None
            raise refused(asked, code, error.status_code or 0, said, wait) from None
        except httpx.ConnectError as error:
            why = asked.redact(why_unreachable(error))
            raise ConnectorFailure(f"{NAME}: cannot connect to {asked.place}: {why}") from None
        except (httpx.HTTPError, ValueError) as error:
            why = asked.redact(str(error)) or type(error).__name__
            raise ConnectorFailure(f"{NAME}: the answer of {asked.place} broke off: {why}") from None


def _audio(text: str | None, place: str) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except ValueError:
        raise ConnectorFailure(f"{NAME}: {place} sent what cannot be read") from None


async def probe(settings: ElevenLabsTtsSettings) -> None:
    """Ask for the account that the key belongs to. ConnectorFailure when the service or the account cannot be had."""
    place = where(settings.base_url)
    asked = Asked(place, settings.voice_id, settings.model_id, settings.rate, Redactor([settings.api_key]))
    trust = certificates()
    async with httpx2.AsyncClient(verify=trust, trust_env=False, timeout=settings.connect_s) as client:
        headers = {"xi-api-key": settings.key, "User-Agent": "echostack"}
        try:
            answer = await client.get(f"{settings.base_url}/v1/user", headers=headers)
        except httpx2.TimeoutException:
            raise ConnectorFailure(f"{NAME}: {place} did not answer within {settings.connect_s:g} s") from None
        except (httpx2.HTTPError, OSError) as error:
            why = asked.redact(why_unreachable(error))
            raise ConnectorFailure(f"{NAME}: cannot connect to {place}: {why}") from None
    if answer.status_code < 400:
        return
    try:
        code, said = code_of(answer.json())
    except ValueError:
        code, said = "", ""
    if code != "missing_permissions":  # a key for speech alone may not ask, and is a key all the same
        raise refused(asked, code, answer.status_code, said)
