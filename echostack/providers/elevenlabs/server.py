"""A local ElevenLabs: speech from text over websockets and HTTP, as ``https://api.elevenlabs.io`` gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from aiohttp import web

from echostack.providers.elevenlabs import errors
from echostack.providers.elevenlabs.context import Manner, messages
from echostack.providers.elevenlabs.errors import Refusal
from echostack.providers.elevenlabs.socket import SpeakingSocket
from echostack.providers.elevenlabs.voice import FORMATS, EmbeddedVoice, Voice
from echostack.providers.elevenlabs.wire import AudioWire, Cut, LineWire, SocketWire
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.seen import Sighting
from echostack.providers.server import KEY, ProviderServer

VOICES: Final[Mapping[str, str]] = {
    "JBFqnCBsd6RMkjVDRZzb": "George",
    "EXAVITQu4vr4xnSDxMaL": "Sarah",
    "21m00Tcm4TlvDq8ikWAM": "Rachel",
    "onwK4e9ZLuTAKqWW03F9": "Daniel",
}
"""The voices that it knows, by id; all of them sound like the one that it was given."""

MODELS: Final = (
    "eleven_flash_v2_5", "eleven_flash_v2", "eleven_turbo_v2_5", "eleven_turbo_v2", "eleven_multilingual_v2",
    "eleven_v3",
)  # fmt: skip
_DEFAULT_MODEL: Final = "eleven_multilingual_v2"
_DEFAULT_FORMAT: Final = "mp3_44100_128"
_QUIET: Final = 20.0  # seconds without a message after which a connection is closed, unless it asks for another
_QUIET_MOST: Final = 180.0


class ElevenLabsServer(ProviderServer):
    """Speaks with ``voice`` (the embedded one by default), ``pace`` seconds of audio in a second (0: all at once).

    message_ms: the audio in one message. closing: seconds until a context that was closed is gone. quiet: the longest
    time without a message in seconds, whatever a client asks for. quota: characters that are left (None: no end).
    concurrency: exchanges that may be under way at once (None: any number).

    It takes any key that is not empty. It does not make MP3 or Opus, and says so to whoever asks for them.
    """

    name: ClassVar[str] = "elevenlabs"

    def __init__(
        self, *, voice: Voice | None = None, message_ms: int = 250, pace: float = 0.0, closing: float = 0.0,
        quiet: float = _QUIET_MOST, quota: int | None = None, concurrency: int | None = None,
        faults: Iterable[Fault] = (), tell: Callable[[Sighting], None] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(faults=faults, tell=tell)
        self.voice: Voice = voice or EmbeddedVoice()
        self.message_ms, self.pace, self.closing, self.quiet = message_ms, pace, closing, quiet
        self.quota, self.concurrency = quota, concurrency

    @property
    def environment(self) -> Mapping[str, str]:
        return {"ELEVENLABS_BASE_URL": self.url, "ELEVENLABS_API_KEY": KEY}

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        speech = "/v1/text-to-speech/{voice}"
        return (
            web.get(f"{speech}/stream-input", self._single),
            web.get(f"{speech}/multi-stream-input", self._multi),
            web.post(f"{speech}/stream", self._stream),
            web.post(f"{speech}/stream/with-timestamps", self._timed),
            web.get("/v1/voices", self._voices),
            web.get("/v1/user", self._user),
        )

    async def stop(self) -> None:
        await super().stop()
        self.voice.close()

    # -- what is served ----------------------------------------------------------------------------------------

    async def _single(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, multi=False)

    async def _multi(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, multi=True)

    async def _socket(self, request: web.Request, *, multi: bool) -> web.StreamResponse:
        exchange, fault = self.next_exchange(), self.faults.next()
        refused = self._refused(request, exchange, fault)
        if refused is not None:
            return refused
        self.open += 1
        try:
            ws = web.WebSocketResponse(max_msg_size=16 * 2**20)
            await ws.prepare(request)
            wire = SocketWire(ws, request, exchange, fault, self.clock, self.seen)
            query = request.query
            self.seen.note(
                exchange, "opened", path=request.path, query={k: v for k, v in query.items() if k != "authorization"}
            )
            try:
                manner = self._manner(request, query.get("model_id", _DEFAULT_MODEL))
                if multi and query.get("model_id") == "eleven_v3":
                    raise errors.invalid("Multi-context websockets are not available for the model eleven_v3.")
                quiet = min(float(query.get("inactivity_timeout", _QUIET)), _QUIET_MOST, self.quiet)
            except Refusal as refusal:
                self.seen.note(exchange, "refused", code=refusal.code)
                await ws.send_json(refusal.frame())
                await ws.close(code=errors.POLICY_VIOLATION, message=refusal.message.encode()[:120])
                return ws
            socket = SpeakingSocket(
                ws, wire, manner, multi=multi, keyed=_keyed(request), quiet=quiet, admit=self._admit,
                clock=self.clock, seen=self.seen,
            )  # fmt: skip
            await socket.run()
            return ws
        finally:
            self.open -= 1

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await self._http(request, timed=False)

    async def _timed(self, request: web.Request) -> web.StreamResponse:
        return await self._http(request, timed=True)

    async def _http(self, request: web.Request, *, timed: bool) -> web.StreamResponse:
        exchange, fault = self.next_exchange(), self.faults.next()
        refused = self._refused(request, exchange, fault)
        if refused is not None:
            return refused
        self.open += 1
        try:
            try:
                text, manner = await self._asked(request)
            except Refusal as refusal:
                return self._refuse(exchange, refusal)
            self.seen.note(exchange, "opened", path=request.path, query=dict(request.query))
            self.seen.note(exchange, "received", text=text)
            response = web.StreamResponse(headers={"Content-Type": "application/json" if timed else "audio/pcm"})
            await response.prepare(request)
            kind = LineWire if timed else AudioWire
            wire = kind(response, request, exchange, fault, self.clock, self.seen)
            whole = False
            try:
                speech = await self.voice.speak(text, manner.rate)
                begin = 0.0
                for message, ms in messages(speech, manner):
                    if manner.pace:
                        await self.clock.sleep(ms / 1000 / manner.pace)
                    await wire.send(_timed(message, begin) if timed else message)
                    begin += ms
                    self.seen.note(exchange, "sent", ms=round(ms))
                if fault is not None and fault.kind is FaultKind.ENDLESS:
                    await wire.endless()
                whole = True
            except (Cut, ConnectionError):
                pass
            finally:
                if not whole:
                    self.seen.note(exchange, "cancelled")
                self.seen.note(exchange, "closed")
            return response
        finally:
            self.open -= 1

    async def _voices(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request, self.next_exchange(), self.faults.next())
        if refused is not None:
            return refused
        known = [{"voice_id": k, "name": n, "category": "premade", "labels": {}} for k, n in VOICES.items()]
        return web.json_response({"voices": known})

    async def _user(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request, self.next_exchange(), self.faults.next())
        if refused is not None:
            return refused
        limit = 10_000_000
        used = 0 if self.quota is None else max(0, limit - self.quota)
        subscription = {"tier": "local", "character_count": used, "character_limit": limit, "status": "active"}
        return web.json_response({"user_id": "local", "subscription": subscription, "xi_api_key": None})

    # -- what is refused ---------------------------------------------------------------------------------------

    def _refused(self, request: web.Request, exchange: int, fault: Fault | None) -> web.Response | None:
        """The answer to a request that is not served at all."""
        socket = "stream-input" in request.path
        kind = fault.kind if fault is not None else None
        if fault is not None and kind in (FaultKind.UNAUTHORISED, FaultKind.RATE_LIMITED, FaultKind.UNAVAILABLE):
            self.seen.note(exchange, "fault", kind=fault.kind.value)
            if kind is FaultKind.RATE_LIMITED:
                return self._refuse(exchange, errors.too_many(fault.seconds))
            return self._refuse(exchange, errors.no_key() if kind is FaultKind.UNAUTHORISED else errors.busy())
        if not socket and not _keyed(request):
            return self._refuse(exchange, errors.no_key())
        if self.concurrency is not None and self.open >= self.concurrency:
            return self._refuse(exchange, errors.too_many_at_once(self.concurrency))
        return None

    def _refuse(self, exchange: int, refusal: Refusal) -> web.Response:
        self.seen.note(exchange, "refused", code=refusal.code)
        return web.json_response(
            refusal.body(f"local-{exchange}"), status=refusal.status, headers=dict(refusal.headers)
        )

    async def _asked(self, request: web.Request) -> tuple[str, Manner]:
        try:
            body: Any = await request.json()
            text = body["text"]
        except (ValueError, KeyError, TypeError):
            raise errors.invalid("The body takes a JSON object with the field text.") from None
        if not isinstance(text, str) or not text.strip():
            raise errors.invalid("The field text holds no text.")
        manner = self._manner(request, body.get("model_id") or _DEFAULT_MODEL)
        self._admit(text)
        return text, replace(manner, sync_alignment=True)

    def _manner(self, request: web.Request, model: str) -> Manner:
        """How this request wants to be spoken to. Refusal of a voice, model or format that is not there."""
        query, voice = request.query, request.match_info["voice"]
        if voice not in VOICES:
            raise errors.no_voice(voice)
        if model not in MODELS:
            raise errors.no_model(model)
        output_format = query.get("output_format", _DEFAULT_FORMAT)
        if output_format not in FORMATS:
            raise errors.no_format(output_format, FORMATS)
        return Manner(
            self.voice, output_format, FORMATS[output_format], query.get("sync_alignment", "false").lower() == "true",
            query.get("auto_mode", "false").lower() == "true", self.message_ms, self.pace, self.closing,
        )  # fmt: skip

    def _admit(self, text: str) -> None:
        """Count the characters of ``text``. Refusal when there are not so many left."""
        needed = len(text.strip())
        if self.quota is not None:
            if needed > self.quota:
                raise errors.no_quota(self.quota, needed)
            self.quota -= needed


def _keyed(request: web.Request) -> bool:
    return bool(request.headers.get("xi-api-key", "").strip() or request.query.get("authorization", "").strip())


def _timed(message: Mapping[str, Any], begin: float) -> dict[str, Any]:
    """A message of the websocket in the form of ``/stream/with-timestamps``: seconds from the very beginning."""
    told = message["alignment"]
    times = None
    if told is not None:
        starts = [(begin + s) / 1000 for s in told["charStartTimesMs"]]
        ends = [s + d / 1000 for s, d in zip(starts, told["charDurationsMs"], strict=True)]
        times = {
            "characters": told["chars"], "character_start_times_seconds": starts, "character_end_times_seconds": ends,
        }  # fmt: skip
    return {"audio_base64": message["audio"], "alignment": times, "normalized_alignment": times}
