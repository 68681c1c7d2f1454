"""Both ends of every transport, held to the contracts of transports."""

from __future__ import annotations

import sys
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from echostack.connectors.app_egress import AppEgress
from echostack.connectors.app_ingress import AppIngress
from echostack.connectors.file_egress import FileEgress
from echostack.connectors.file_ingress import FileIngress
from echostack.connectors.mic_ingress import MicIngress
from echostack.connectors.speaker_egress import SpeakerEgress
from echostack.testing.contracts import EgressContract, IngressContract
from echostack.testing.contracts.rig import Rig
from echostack.testing.contracts.stage import Stage
from tests.connectors.test_microphone import HEADSET, LAPTOP, FakeSound, FakeStream, block


class TestFileIngress(IngressContract):
    connector = FileIngress
    broken = {"path": "/nowhere/at/all.wav"}

    @pytest.fixture(autouse=True)
    def _recording(self, tmp_path: Path) -> None:
        with wave.open(str(tmp_path / "call.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 16_000))
        self.settings = {"path": str(tmp_path / "call.wav")}


class TestFileEgress(EgressContract):
    connector = FileEgress
    broken = {"path": "/proc/none/reply.wav"}

    @pytest.fixture(autouse=True)
    def _reply(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.settings = {"path": str(tmp_path / "reply.wav")}

    def another(self, number: int) -> Mapping[str, Any]:
        return {"path": str(self.folder / f"reply-{number}.wav")}


class TestAppIngress(IngressContract):
    connector = AppIngress
    speaks = False


class TestAppEgress(EgressContract):
    connector = AppEgress


class _Playing(FakeStream):
    """A device that begins to work as soon as it is started."""

    def start(self) -> None:
        super().start()
        for value in range(1, 40):
            self.options["callback"](block(value), 320, None, False)


class TestMicIngress(IngressContract):
    connector = MicIngress
    real_time = True
    broken = {"device": "no such thing"}

    @pytest.fixture(autouse=True)
    def _sound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sound = FakeSound([LAPTOP, HEADSET])
        monkeypatch.setattr(sound, "RawInputStream", lambda **options: _Playing(sound, **options))
        monkeypatch.setitem(sys.modules, "sounddevice", sound)


class TestSpeakerEgress(EgressContract):
    connector = SpeakerEgress
    real_time = True
    broken = {"device": "no such thing"}

    @pytest.fixture(autouse=True)
    def _sound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sound = FakeSound([LAPTOP, HEADSET])
        monkeypatch.setitem(sys.modules, "sounddevice", self.sound)

    def device_plays(self, rig: Rig, samples: int) -> None:
        self.sound.streams[-1].pull(samples)

    def at_work(self, stage: Stage) -> None:
        """The device asks when the test says so."""
