"""``llama.agent``: answers with Llama 3, or another open model, on Ollama, vLLM or llama.cpp's server."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator

from echostack.connectors.chat.agent import ChatAgent
from echostack.connectors.chat.settings import ChatSettings, tool_ports
from echostack.connectors.http_call import check_url
from echostack.connectors.openai.chat import ChatApi, OpenAIChat, probed
from echostack.connectors.openai.failures import Advice
from echostack.core.errors import ConnectorFailure
from echostack.registry import Context, Env, Latency, connector

_ADVICE: Final = Advice(
    key="set LLAMA_API_KEY, or api_key in the file, to the key that the server was started with",
    model="get it with `ollama pull {model}`, or set model to one that the server has",
    unreachable="start Ollama with `ollama serve`, or set LLAMA_BASE_URL, or base_url, to the server that you use",
    tools="set model to one that can (vLLM needs --enable-auto-tool-choice for it), or take tools out of the file",
)
_STRICT: Final = ("library", "vllm")  # owners in the lists of servers that refuse a model which is not in them


class LlamaSettings(ChatSettings):
    """Which model, on which server, and how it answers."""

    model: str = Field(default="llama3.1", min_length=1)
    """The model, as the server names it. llama.cpp's server answers with the one that it was started with."""
    base_url: Annotated[str, Env("LLAMA_BASE_URL")] = "http://127.0.0.1:11434/v1"
    """Where the server is; Ollama's own address unless it is given. vLLM's is http://127.0.0.1:8000/v1, llama.cpp's
    http://127.0.0.1:8080/v1."""
    api_key: Annotated[SecretStr | None, Env("LLAMA_API_KEY")] = None
    """The key, where the server asks for one; Ollama does not."""
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    """How freely it chooses its words: 0 hardly, 2 wildly; without one, as the server has it."""
    seed: int | None = None
    """With the same seed, and temperature 0, the same conversation gets the same answer."""
    first_seconds: float = Field(default=20.0, gt=0, le=600)
    """How long the model may take to begin its answer, in seconds. Ollama loads a model with its first request, which
    takes a while; after that an answer begins as soon as the prompt is read."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return check_url(value, "base_url").rstrip("/")


@connector(
    "llama.agent",
    ports=tool_ports,
    latency=Latency(p50=350, p95=1500),
    network=True,
    attempts=2,
    timeout=30.0,
    packages=("openai",),
    extra="openai",
)
class LlamaAgent(ChatAgent):
    """Answers with Llama 3, or another open model, on Ollama, vLLM or llama.cpp's server.

    They all speak OpenAI's chat completions. A model that cannot call tools is an error where the file gives tools: it
    would say that it had done what it cannot do. An interruption closes the connection, which ends the model's work.
    """

    def __init__(self, settings: LlamaSettings, context: Context) -> None:
        super().__init__(settings, context, OpenAIChat(_api(settings), context.node, context.clock, context.compute))

    @staticmethod
    async def probe(settings: LlamaSettings) -> None:
        """Return when the server answers and has the model. ConnectorFailure otherwise."""
        listed = await probed("llama.agent", _api(settings), OpenAIChat.models)
        names = [name for name, owner in listed if owner in _STRICT]
        if names and settings.model not in names and f"{settings.model}:latest" not in names:
            raise ConnectorFailure(
                f"llama.agent: the server has no model {settings.model!r}, only {', '.join(sorted(names)[:10])}: "
                f"{_ADVICE.model.format(model=settings.model)}",
                retryable=False,
            )


def _api(settings: LlamaSettings) -> ChatApi:
    options = {"temperature": settings.temperature, "seed": settings.seed}
    return ChatApi(
        base_url=settings.base_url,
        # The SDK wants a key; a server that knows none reads none.
        api_key=(settings.api_key.get_secret_value().strip() if settings.api_key is not None else "") or "none",
        model=settings.model,
        max_tokens=settings.max_tokens,
        first_seconds=settings.first_seconds,
        next_seconds=settings.next_seconds,
        advice=_ADVICE,
        options={name: value for name, value in options.items() if value is not None},
    )
