"""``egress.file``: the file holds what the caller heard, when the caller heard it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.file_egress import FileEgress, FileEgressSettings
from echostack.connectors.wav import WavReader
from echostack.connectors.wav_writer import WavWriter
from echostack.core.audio import AudioFormat
from echostack.core.clock import Clock, LoopClock, ThreadCompute
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioChunk, AudioChunkStream
from echostack.registry.declare import spec_of
from echostack.simulation.loop import run_virtual
from tests.connectors.harness import FakeContext

RATE = 8_000


def pcm(samples: int, value: int = 1_000) -> bytes:
    return np.full(samples, value, "<i2").tobytes()


def read(path: Path) -> list[int]:
    if path.stat().st_size == 44:
        return []
    reader = WavReader(path)
    reader.open()
    assert reader.rate == RATE
    got = reader.read(10_000_000)
    reader.close()
    return (got * 32_768).round().astype(int).tolist()


def call(path: Path, script: Callable[[FileEgress, Clock], Awaitable[None]]) -> list[int]:
    """Run ``script`` between open and close, in virtual time; what the file then holds."""

    async def main() -> None:
        clock = LoopClock()
        sink = FileEgress(FileEgressSettings(path=str(path), rate=RATE), FakeContext(clock))
        await sink.open()
        try:
            await script(sink, clock)
        finally:
            await sink.close()

    run_virtual(main())
    return read(path)


def test_audio_lies_where_it_was_heard(tmp_path: Path) -> None:
    async def script(sink: FileEgress, clock: Clock) -> None:
        await clock.sleep(1.0)
        sink.write(pcm(160, 1))
        sink.write(pcm(160, 2))
        await clock.sleep(1.0)
        sink.write(pcm(160, 3))
        await clock.sleep(0.5)

    got = call(tmp_path / "a.wav", script)
    want = np.zeros(int(2.5 * RATE), int)
    want[8_000:8_160], want[8_160:8_320], want[16_000:16_160] = 1, 2, 3
    assert got == want.tolist()


def test_clearing_removes_what_was_not_played_and_nothing_else(tmp_path: Path) -> None:
    async def script(sink: FileEgress, clock: Clock) -> None:
        await clock.sleep(0.1)
        sink.write(pcm(800))
        await clock.sleep(0.04)
        assert sink.played() == 320
        sink.clear()
        assert sink.played() == 320
        await clock.sleep(0.06)
        assert sink.played() == 320
        sink.write(pcm(80, 7))
        await clock.sleep(0.05)
        assert sink.played() == 400

    got = call(tmp_path / "a.wav", script)
    assert [k for k, v in enumerate(got) if v == 1_000] == list(range(800, 1_120))
    assert [k for k, v in enumerate(got) if v == 7] == list(range(1_600, 1_680))


def test_the_file_reaches_to_the_end_of_the_call(tmp_path: Path) -> None:
    async def script(sink: FileEgress, clock: Clock) -> None:
        await clock.sleep(2.0)

    assert call(tmp_path / "a.wav", script) == [0] * 2 * RATE


def test_what_was_written_and_not_cleared_is_kept_at_the_end(tmp_path: Path) -> None:
    async def script(sink: FileEgress, clock: Clock) -> None:
        sink.write(pcm(800))
        await clock.sleep(0.02)

    assert call(tmp_path / "a.wav", script) == [1_000] * 800


def test_a_chunk_shorter_than_a_frame_is_kept(tmp_path: Path) -> None:
    async def script(sink: FileEgress, clock: Clock) -> None:
        sink.write(pcm(1))
        sink.write(b"")
        await clock.sleep(0.01)

    assert call(tmp_path / "a.wav", script) == [1_000] + [0] * 79


Step = tuple[str, int]


@given(st.lists(st.tuples(st.sampled_from(["write", "wait", "clear"]), st.integers(0, 3_000)), max_size=40))
@settings(max_examples=80)
def test_it_plays_as_a_loudspeaker_would(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]) -> None:
    """Against a model that holds every sample: a queue that one sample leaves each tick."""
    path = tmp_path_factory.mktemp("w") / "a.wav"
    queue: list[int] = []
    heard: list[int] = []
    numbers = iter(range(1, 10_000_000))
    played = 0

    async def script(sink: FileEgress, clock: Clock) -> None:
        nonlocal played
        at = 0
        for what, amount in steps:
            if what == "write":
                values = [next(numbers) % 30_000 + 1 for _ in range(amount)]
                queue.extend(values)
                sink.write(np.array(values, "<i2").tobytes())
            elif what == "clear":
                queue.clear()
                sink.clear()
            else:
                at += amount
                await clock.sleep(at / RATE - clock.now())
                now, rest = queue[:amount], queue[amount:]
                heard.extend([*now, *[0] * (amount - len(now))])
                queue[:] = rest
                played += len(now)
            assert sink.played() == played

    got = call(path, script)
    assert got == [*heard, *queue]


def test_the_file_can_be_read_while_the_call_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    seen: list[int] = []

    async def script(sink: FileEgress, clock: Clock) -> None:
        for _ in range(100):
            sink.write(pcm(160))
            await clock.sleep(0.02)
            seen.append(len(read(path)) if path.stat().st_size > 44 else 0)

    call(path, script)
    assert seen == sorted(seen)
    assert all(2.0 * RATE >= n >= (k + 1) * 160 - 0.62 * RATE for k, n in enumerate(seen))


def test_a_killed_process_leaves_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    code = f"""
        import asyncio
        from echostack.connectors.file_egress import FileEgress, FileEgressSettings
        from echostack.core.clock import LoopClock, ThreadCompute
        from tests.connectors.harness import FakeContext

        async def main():
            clock = LoopClock()
            sink = FileEgress(FileEgressSettings(path={str(path)!r}, rate={RATE}), FakeContext(clock, ThreadCompute(1)))
            await sink.open()
            for k in range(1000):
                sink.write(b"\\x01\\x02" * 160)
                if k == 50:
                    print("now", flush=True)
                await clock.sleep(0.02)

        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    got = read(path)
    assert len(got) > 0.4 * RATE
    assert set(got) <= {0, 513}
    assert 513 in got


def test_a_full_disk_is_told_by_the_next_write_and_by_the_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"

    def full(fd: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def main() -> list[str]:
        clock = LoopClock()
        sink = FileEgress(FileEgressSettings(path=str(path), rate=RATE), FakeContext(clock))
        await sink.open()
        monkeypatch.setattr(os, "ftruncate", full)
        sink.write(pcm(160))
        await clock.sleep(1.0)
        told = []
        with pytest.raises(ConnectorFailure) as caught:
            sink.write(pcm(160))
        told.append(str(caught.value))
        with pytest.raises(ConnectorFailure) as caught:
            await sink.close()
        return [*told, str(caught.value)]

    assert run_virtual(main()) == [f"{path}: the disk is full"] * 2


def test_a_disk_that_stands_still_ends_the_call_instead_of_filling_the_memory(tmp_path: Path) -> None:
    async def main() -> str:
        clock = LoopClock()

        class Stuck:
            async def run(self, work: object, *args: object) -> object:
                if isinstance(getattr(work, "__self__", None), WavWriter) and len(args) == 2:
                    await asyncio.Event().wait()
                return work(*args)  # type: ignore[operator]

            def close(self) -> None: ...

        context = FakeContext(clock, Stuck())  # type: ignore[arg-type]
        sink = FileEgress(FileEgressSettings(path=str(tmp_path / "a.wav"), rate=RATE), context)
        await sink.open()

        async def talk() -> None:
            for _ in range(10_000):
                sink.write(pcm(160))
                await clock.sleep(0.02)

        with pytest.raises(ConnectorFailure) as caught:
            await talk()
        with pytest.raises(ConnectorFailure):
            await sink.close()
        assert clock.now() < 70
        return str(caught.value)

    assert run_virtual(main()) == f"{tmp_path / 'a.wav'}: the disk does not keep up with the call"


def test_a_file_that_cannot_be_made_is_told_by_open_and_close_is_safe(tmp_path: Path) -> None:
    async def main() -> str:
        sink = FileEgress(FileEgressSettings(path=str(tmp_path), rate=RATE), FakeContext(LoopClock()))
        with pytest.raises(ConnectorFailure) as caught:
            await sink.open()
        await sink.close()
        return str(caught.value)

    assert run_virtual(main()) == f"{tmp_path}: this is a folder, not a file"


def test_closing_without_having_opened_is_safe(tmp_path: Path) -> None:
    async def main() -> None:
        sink = FileEgress(FileEgressSettings(path=str(tmp_path / "a.wav")), FakeContext(LoopClock()))
        await sink.close()

    run_virtual(main())
    assert not (tmp_path / "a.wav").exists()


async def test_on_threads_and_real_time_it_is_the_same(tmp_path: Path) -> None:
    compute = ThreadCompute(2)
    sink = FileEgress(
        FileEgressSettings(path=str(tmp_path / "a.wav"), rate=RATE), FakeContext(LoopClock(), compute)
    )  # fmt: skip
    await sink.open()
    for _ in range(5):
        sink.write(pcm(160))
    await sink.close()
    compute.close()
    assert read(tmp_path / "a.wav").count(1_000) == 800


def test_its_manifest() -> None:
    spec = spec_of(FileEgress)
    assert spec.form.value == "sink"
    assert spec.consumes == (AudioChunkStream, AudioChunk)
    assert spec.input_format(FileEgressSettings(path="x")) == AudioFormat(24_000)
