"""The programs of examples/embedding run as their users run them, and do what their docstrings say."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import websockets

from echostack.connectors.piper_voice import shared_voice

FOLDER = Path(__file__).parents[2] / "examples" / "embedding"


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_asyncio_program_is_interrupted_and_knows_what_was_heard() -> None:
    lines = run(str(FOLDER / "asyncio_program.py")).splitlines()
    assert re.fullmatch(r"heard \(cut off\): The front desk.*", lines[0])
    assert not lines[0].endswith("ten.")
    assert lines[1] == "heard: A double room costs ninety euros a night, breakfast included."
    assert lines[2] == "caller: What are your opening hours?"
    assert lines[3] == f"agent: {lines[0].removeprefix('heard (cut off): ')}"
    assert lines[4] == "caller: How much is a room for one night?"
    assert lines[5] == "agent: A double room costs ninety euros a night, breakfast included."
    assert re.fullmatch(r"\d+\.\d s of speech, 1 interruption", lines[6])


def test_the_operator_program_prints_the_words_of_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    voice = shared_voice("joe")
    voice.load()
    speech = voice.speak("What are your opening hours?", speed=1.0, volume=1.0, variation=0.0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes((speech * 32_000).astype(np.int16).tobytes())
    assert run(str(FOLDER / "aiostream_operator.py"), str(path)).strip() == "What are your opening hours?"


def test_the_operator_program_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "aiostream_operator.py")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "usage: python examples/embedding/aiostream_operator.py call.wav\n")


def test_the_websocket_server_answers_two_callers_at_once(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = (FOLDER / "websocket_server.py").read_text().replace("port=8000", f"port={port}")
    program = program.replace('Path(__file__).with_name("desk.echo")', repr(str(FOLDER / "desk.echo")))
    served = tmp_path / "served.py"
    served.write_text(program)
    server = subprocess.Popen([sys.executable, str(served)], stderr=subprocess.PIPE, text=True)
    try:
        answers = asyncio.run(two_calls(port))
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors
    assert [a[0] for a in answers] == [
        "A double room costs ninety euros a night, breakfast included.",
        "The front desk is open day and night. Breakfast is served from seven to ten.",
    ]
    assert all(pcm > 24_000 for _, pcm in answers)


async def two_calls(port: int) -> list[tuple[str, int]]:
    questions = ("How much is a room for one night?", "What are your opening hours?")
    return await asyncio.gather(*(one_call(port, q) for q in questions))


async def one_call(port: int, question: str) -> tuple[str, int]:
    """The agent's words, and how many bytes of speech came within the first second of it."""
    said, pcm = "", 0
    async with asyncio.timeout(60):
        while True:
            try:
                socket_ = await websockets.connect(f"ws://127.0.0.1:{port}/call")
                break
            except OSError:
                await asyncio.sleep(0.1)
        async with socket_:
            await socket_.send(question)
            async for message in socket_:
                if isinstance(message, bytes):
                    pcm += len(message)
                    if pcm > 24_000:
                        break
                elif json.loads(message)["event"] == "agent_message":
                    said = json.loads(message)["text"]
    return said, pcm
