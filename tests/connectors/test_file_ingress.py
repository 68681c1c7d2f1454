"""``ingress.file``: a file, heard as a caller would be."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.file_ingress import FileIngress, FileIngressSettings
from echostack.connectors.pcm import Floats, to_float
from echostack.connectors.wav_writer import WavWriter
from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame
from echostack.registry.declare import spec_of
from echostack.simulation.loop import run_virtual
from tests.connectors.harness import FakeContext, noise, silence
from tests.connectors.test_wav import samples_of, wav


def write(path: Path, wave: Floats, rate: int = 16_000) -> Path:
    writer = WavWriter(path, rate)
    writer.open()
    writer.put(0, (wave * 32_767).astype("<i2").tobytes())
    writer.close()
    return path


def play(path: Path, *, start: float = 0.0, **how: Any) -> list[tuple[float, AudioFrame]]:
    """The frames and when they came."""

    async def main() -> list[tuple[float, AudioFrame]]:
        clock = LoopClock()
        await clock.sleep(start)
        ingress = FileIngress(FileIngressSettings(path=str(path), **how), FakeContext(clock))
        return [(clock.now(), frame) async for frame in ingress.run()]

    return run_virtual(main())


def test_each_frame_comes_when_its_last_sample_would_have_been_heard(tmp_path: Path) -> None:
    heard = play(write(tmp_path / "a.wav", noise(1.0, -20)), tail_ms=0)
    assert [at for at, _ in heard] == pytest.approx([0.02 * k for k in range(1, 51)])
    assert {frame.samples for _, frame in heard} == {320}


def test_its_time_begins_when_it_runs(tmp_path: Path) -> None:
    heard = play(write(tmp_path / "a.wav", noise(0.1, -20)), start=3.0, tail_ms=0)
    assert heard[0][0] == pytest.approx(3.02)


def test_an_hour_does_not_drift(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, 8_000)
    writer.open()
    writer.put(8_000 * 3_600 - 1, bytes(2))
    writer.close()
    heard = play(path, rate=8_000, frame_ms=200, tail_ms=0)
    assert len(heard) == 18_000
    assert heard[-1][0] == pytest.approx(3_600.0)


def test_audio_arrives_bit_for_bit_when_the_rates_agree(tmp_path: Path) -> None:
    wave = noise(0.5, -20)
    heard = play(write(tmp_path / "a.wav", wave), tail_ms=0)
    assert b"".join(f.pcm for _, f in heard) == (wave * 32_767).astype("<i2").tobytes()


def test_the_tail_is_silence_that_fills_the_last_frame(tmp_path: Path) -> None:
    heard = play(write(tmp_path / "a.wav", noise(0.031, -20)), tail_ms=100)
    pcm = b"".join(f.pcm for _, f in heard)
    assert len(pcm) == 2 * (496 + 1600)
    assert not any(pcm[2 * 496 :])
    assert [f.samples for _, f in heard][:-1] == [320] * 6


def test_without_a_tail_the_last_frame_is_shorter(tmp_path: Path) -> None:
    heard = play(write(tmp_path / "a.wav", noise(0.031, -20)), tail_ms=0)
    assert [f.samples for _, f in heard] == [320, 176]


def test_one_sample_is_heard(tmp_path: Path) -> None:
    heard = play(write(tmp_path / "a.wav", noise(1 / 16_000, -3)), tail_ms=0)
    assert [f.samples for _, f in heard] == [1]


@pytest.mark.parametrize(("rate", "to"), [(8_000, 16_000), (44_100, 16_000), (48_000, 16_000), (22_050, 48_000)])
def test_the_rate_is_converted(tmp_path: Path, rate: int, to: int) -> None:
    seconds = 1.5
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.float32)
    heard = play(write(tmp_path / "a.wav", tone, rate), rate=to, tail_ms=0)
    got = to_float(b"".join(f.pcm for _, f in heard))
    want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / to)
    assert len(got) == pytest.approx(to * seconds, abs=1)
    middle = slice(to // 10, -to // 10)
    assert np.abs(got[middle] - want[middle]).max() < 0.01


def test_a_stereo_file_is_mixed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    wave = noise(0.5, -20)
    path.write_bytes(wav(samples_of(np.stack([wave, wave], axis=1).reshape(-1), 24), channels=2, bits=24))
    got = to_float(b"".join(f.pcm for _, f in play(path, tail_ms=0)))
    assert np.abs(got - wave).max() < 1e-3


def test_a_late_reader_is_caught_up_with(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(1.0, -20))

    async def main() -> list[float]:
        clock = LoopClock()
        ingress = FileIngress(FileIngressSettings(path=str(path), tail_ms=0), FakeContext(clock))
        times = []
        async for _ in ingress.run():
            times.append(clock.now())
            if len(times) == 10:
                await clock.sleep(0.5)
        return times

    times = run_virtual(main())
    assert times[10] == pytest.approx(0.7)
    assert times[-1] == pytest.approx(1.0)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectorFailure) as caught:
        play(tmp_path / "none.wav")
    assert str(caught.value) == f"{tmp_path / 'none.wav'}: there is no such file"


@given(st.integers(1, 3_000), st.integers(5, 60), st.integers(0, 90))
@settings(max_examples=30)
def test_no_sample_is_lost_or_added(tmp_path_factory: pytest.TempPathFactory, length: int, ms: int, tail: int) -> None:
    path = write(tmp_path_factory.mktemp("w") / "a.wav", noise(length / 8_000, -20, 8_000), 8_000)
    heard = play(path, rate=8_000, frame_ms=ms, tail_ms=tail)
    assert sum(f.samples for _, f in heard) == length + 8 * tail
    assert all(f.samples == 8 * ms for _, f in heard[:-1])


async def test_cancelled_at_any_moment_it_closes_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", silence(0.1))
    for compute in (ThreadCompute(1), None):
        for steps in (0, 1, 2, 3, 5, 10):
            context = FakeContext(LoopClock(), compute)
            stream = FileIngress(FileIngressSettings(path=str(path)), context).run()

            async def listen(stream: Any = stream) -> None:
                async for _ in stream:
                    pass

            task = asyncio.create_task(listen())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        if compute is not None:
            await compute.run(lambda: None)
            compute.close()
    gc.collect()  # a file left open would be a warning, which is an error here


def test_its_manifest() -> None:
    spec = spec_of(FileIngress)
    assert spec.form.value == "source"
    assert (spec.vendor, spec.role) == ("file", "ingress")
    assert spec.output_format(FileIngressSettings(path="x", rate=8_000)) == AudioFormat(8_000)
