"""Reading and writing WAV files: whatever they hold, and whatever is wrong with them."""

from __future__ import annotations

import errno
import os
import struct
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.wav import WavReader
from echostack.connectors.wav_writer import WavWriter
from echostack.core.errors import ConnectorFailure

RAMP = np.linspace(-0.9, 0.9, 401)


def wav(
    data: bytes, *, tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, size: int | None = None,
    before: bytes = b"", after: bytes = b"", extensible: bool = False,
) -> bytes:  # fmt: skip
    width = bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * channels * width, width, bits)
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 0, tag) + bytes.fromhex("000000001000800000aa00389b71")
    fmt = struct.pack("<4sI", b"fmt ", len(head)) + head
    body = before + fmt + struct.pack("<4sI", b"data", len(data) if size is None else size) + data + after
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body


def samples_of(wave: np.ndarray[Any, Any], bits: int, tag: int = 1) -> bytes:
    if tag == 3:
        return wave.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (np.round(wave * 127) + 128).astype(np.uint8).tobytes()
    if bits == 24:
        wide = np.round(wave * (2**23 - 1)).astype("<i4")
        return wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return np.round(wave * (2 ** (bits - 1) - 1)).astype(f"<i{bits // 8}").tobytes()


def read(path: Path, block: int = 100) -> tuple[int, np.ndarray[Any, Any]]:
    reader = WavReader(path)
    try:
        reader.open()
        parts = [reader.read(block)]
        while len(parts[-1]) == block:
            parts.append(reader.read(block))
        assert len(reader.read(block)) == 0
        return reader.rate, np.concatenate(parts)
    finally:
        reader.close()


def refusal(path: Path) -> str:
    with pytest.raises(ConnectorFailure) as caught:
        read(path)
    assert not caught.value.retryable
    return str(caught.value)


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("tag", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_sample_type_is_read(tmp_path: Path, tag: int, bits: int, extensible: bool) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(samples_of(RAMP, bits, tag), tag=tag, bits=bits, rate=44_100, extensible=extensible))
    rate, got = read(path)
    assert rate == 44_100
    assert got.dtype == np.float32
    assert np.abs(got - RAMP).max() <= 2 ** -(min(bits, 24) - 2)


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_mixed_into_one(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "a.wav"
    wide = np.stack([RAMP * (k + 1) / channels for k in range(channels)], axis=1)
    path.write_bytes(wav(samples_of(wide.reshape(-1), 16), channels=channels))
    assert np.abs(read(path)[1] - wide.mean(axis=1)).max() < 1e-3


def test_other_chunks_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    odd = struct.pack("<4sI", b"LIST", 5) + b"abcde\x00"
    path.write_bytes(wav(samples_of(RAMP, 16), before=odd, after=odd))
    assert len(read(path)[1]) == len(RAMP)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 10_000_000])
def test_a_file_whose_writer_was_killed_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(samples_of(RAMP, 16) + b"\x01", size=size))
    assert len(read(path)[1]) == len(RAMP)


def test_one_sample_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(struct.pack("<h", 16_384)))
    assert read(path)[1].tolist() == [0.5]


def test_floats_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.array([np.nan, np.inf, -np.inf, 7.0], "<f4").tobytes(), tag=3, bits=32))
    assert read(path)[1].tolist() == [0.0, 1.0, -1.0, 1.0]


GOOD = wav(samples_of(RAMP, 16))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "this file is empty"),
        (b"RIFF", "the header of this WAV file is cut off; the file is damaged; record it again"),
        (GOOD[:20], "the header of this WAV file is cut off; the file is damaged; record it again"),
        (GOOD[:30], "the header of this WAV file is cut off; the file is damaged; record it again"),
        (GOOD[:36], "this WAV file holds no audio (it has no data chunk)"),
        (GOOD[:41], "the header of this WAV file is cut off; the file is damaged; record it again"),
        (GOOD[:44], "this WAV file holds no audio"),
        (wav(b""), "this WAV file holds no audio"),
        (wav(b"\x01"), "this WAV file holds no audio"),
        (
            b"hello there, this is text",
            "this is not a WAV file; convert it with: ffmpeg -i a.wav -c:a pcm_s16le a.wav",
        ),
        (
            b"OggS" + bytes(100),
            "this is Ogg audio, not a WAV file; convert it with: ffmpeg -i a.wav -c:a pcm_s16le a.wav",
        ),
        (
            b"fLaC" + bytes(100),
            "this is FLAC audio, not a WAV file; convert it with: ffmpeg -i a.wav -c:a pcm_s16le a.wav",
        ),
        (
            b"RIFF\x00\x00\x00\x00AVI ",
            "this is not a WAV file; convert it with: ffmpeg -i a.wav -c:a pcm_s16le a.wav",
        ),
        (
            wav(bytes(100), tag=7, bits=8),
            "this WAV file holds mu-law audio, and only PCM and float are read; "
            "convert it with: ffmpeg -i a.wav -c:a pcm_s16le a_pcm.wav",
        ),
        (
            wav(bytes(100), tag=0x1234, bits=8),
            "this WAV file holds format 0x1234 audio, and only PCM and float are read; "
            "convert it with: ffmpeg -i a.wav -c:a pcm_s16le a_pcm.wav",
        ),
        (wav(bytes(100), tag=3, bits=16), "this WAV file has 16-bit float samples, which are not read"),
        (wav(bytes(100), bits=64), "this WAV file has 64-bit PCM samples, which are not read"),
        (wav(bytes(100), channels=0), "this WAV file claims 0 channels at 16000 Hz; the file is damaged"),
        (wav(bytes(100), rate=0), "this WAV file claims 1 channels at 0 Hz; the file is damaged"),
        (
            b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd",
            "this WAV file tells no format before its audio; the file is damaged",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert refusal(path) == f"{path}: {why}"


def test_paths_that_are_no_files_are_refused_in_words(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.wav") == f"{tmp_path / 'none.wav'}: there is no such file"
    assert refusal(tmp_path) == f"{tmp_path}: this is a folder, not a file"
    (tmp_path / "f").write_bytes(b"x")
    assert (
        refusal(tmp_path / "f" / "a.wav") == f"{tmp_path / 'f' / 'a.wav'}: a part of this path is a file, not a folder"
    )
    assert refusal(Path("a\0b")).endswith(": this is not a file name")
    long = tmp_path / ("x" * 300)
    assert refusal(long) == f"{long}: this name is too long"


@given(st.binary(max_size=200))
def test_no_content_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    for data in (content, GOOD[:36] + content, GOOD[:20] + content):
        path.write_bytes(data)
        try:
            rate, got = read(path)
        except ConnectorFailure as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:
            assert rate > 0
            assert np.all(np.abs(got) <= 1.0)


def test_a_reader_closed_while_it_opens_keeps_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(GOOD)
    reader = WavReader(path)
    reader.close()
    reader.open()
    assert len(reader.read(10)) == 0
    reader.close()


def written(path: Path) -> list[int]:
    rate, got = read(path)
    assert rate == 24_000
    return (got * 32_768).round().astype(int).tolist()


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_the_file_can_be_read_after_every_put(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.wav"
    writer = WavWriter(path, 24_000)
    writer.open()
    writer.put(0, pcm(1, 2, 3))
    assert written(path) == [1, 2, 3]
    writer.put(5, pcm(6))
    assert written(path) == [1, 2, 3, 0, 0, 6]
    writer.put(1, pcm(9))
    assert written(path) == [1, 9, 3, 0, 0, 6]
    writer.put(8, b"")
    writer.close()
    writer.close()
    assert written(path) == [1, 9, 3, 0, 0, 6, 0, 0]


def test_an_hour_of_silence_costs_no_time_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, 24_000)
    writer.open()
    writer.put(24_000 * 3_600, pcm(7))
    writer.close()
    assert path.stat().st_size == 44 + 2 * (24_000 * 3_600 + 1)
    assert path.stat().st_blocks * 512 < 1_000_000


def refused(path: Path) -> str:
    with pytest.raises(ConnectorFailure) as caught:
        WavWriter(path, 24_000).open()
    assert not caught.value.retryable
    return str(caught.value)


def test_a_file_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: this is a folder, not a file"
    (tmp_path / "f").write_bytes(b"x")
    assert "a.wav: " in refused(tmp_path / "f" / "a.wav")
    assert refused(Path("a\0b")).endswith(": this is not a file name")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    path = tmp_path / "a.wav"
    assert refused(path) == f"{path}: this file may not be written: permission denied"


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, 24_000)
    writer.open()
    writer.put(0, pcm(1, 2))

    def full(self: FileIO, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    opened = writer._file
    assert opened is not None
    monkeypatch.setattr(writer, "_file", type("Full", (FileIO,), {"write": full})(path, "r+b"))
    with pytest.raises(ConnectorFailure) as caught:
        writer.put(2, pcm(3))
    writer.close()
    opened.close()
    assert str(caught.value) == f"{path}: the disk is full"
    assert written(path)[:2] == [1, 2]


def test_more_than_a_wav_file_can_hold_is_told(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", 24_000)
    writer.open()
    with pytest.raises(ConnectorFailure, match=r"cannot be larger than 4 GB; end the call, or lower the rate$"):
        writer.put(2**31, pcm(1))
    writer.close()


def test_a_file_that_another_call_writes_is_left_as_it_is(tmp_path: Path) -> None:
    first = WavWriter(tmp_path / "a.wav", 24_000)
    first.open()
    first.put(0, b"\1\2")
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(ConnectorFailure) as refused:
        WavWriter(tmp_path / "a.wav", 24_000).open()
    assert str(refused.value) == (
        f"{tmp_path / 'a.wav'}: another call is writing this file at this moment; name another file"
    )
    assert (tmp_path / "a.wav").read_bytes() == before
    first.close()
    again = WavWriter(tmp_path / "a.wav", 24_000)
    again.open()
    again.close()
    assert (tmp_path / "a.wav").stat().st_size == 44


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(ConnectorFailure, match="a part of this path is a file, not a folder"):
        WavWriter(tmp_path / "a" / "b.wav", 24_000).open()
