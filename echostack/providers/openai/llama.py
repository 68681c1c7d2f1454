"""A local server that answers as Ollama's OpenAI-compatible API does (docs.ollama.com, "OpenAI compatibility")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from aiohttp import web

from echostack.providers.brain import Brain
from echostack.providers.faults import Fault
from echostack.providers.openai.requests import ChatRequest, Refusal
from echostack.providers.openai.server import OpenAIServer
from echostack.providers.seen import Sighting


class LlamaServer(OpenAIServer):
    """Ollama on this machine: no key, models that were pulled, some of which cannot call tools.

    tools: whether the models can. The rest as with OpenAIServer.
    """

    name: ClassVar[str] = "llama"
    plain: ClassVar[bool] = True
    usual: ClassVar[tuple[str, ...]] = ("llama3.1:latest",)

    def __init__(
        self,
        *,
        brain: Brain | None = None,
        models: Sequence[str] = (),
        tools: bool = True,
        faults: Iterable[Fault] = (),
        tell: Callable[[Sighting], None] | None = None,
    ) -> None:
        super().__init__(brain=brain, models=models, faults=faults, tell=tell)
        self.tools = tools

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LLAMA_BASE_URL": f"{self.url}/v1"}

    def authorise(self, request: web.Request) -> None:
        """Everybody may."""

    def refuse_model(self, model: str) -> Refusal:
        return Refusal(404, f'model "{model}" not found, try pulling it first', kind="api_error")

    def check(self, request: ChatRequest) -> None:
        super().check(request)
        if request.tools and not self.tools:
            raise Refusal(400, f"registry.local/library/{request.model} does not support tools", kind="api_error")

    def _model(self, name: str) -> dict[str, Any]:
        # Ollama's list is all that there is; where any name is taken, it is not.
        return {**super()._model(name), "owned_by": "library" if self.models else "echostack"}
