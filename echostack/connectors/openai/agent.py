"""``openai.agent``: answers with OpenAI's GPT-4o, or with any model behind a server of the same API."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from echostack.connectors.chat.agent import ChatAgent
from echostack.connectors.chat.settings import ChatSettings, tool_ports
from echostack.connectors.http_call import check_url
from echostack.connectors.openai.chat import ChatApi, OpenAIChat, probed
from echostack.connectors.openai.failures import Advice
from echostack.registry import Context, Env, Latency, connector

_ADVICE: Final = Advice(
    key="set OPENAI_API_KEY, or api_key in the file, to a key of this provider",
    model="set model to one that this account may use",
    unreachable="see that base_url is right and that this machine reaches it",
    tools="set model to one that can, or take tools out of the file",
)


class OpenAISettings(ChatSettings):
    """Which model, where, and how it answers."""

    model: str = Field(default="gpt-4o", min_length=1)
    """The model, as the provider names it."""
    api_key: Annotated[SecretStr, Env("OPENAI_API_KEY")]
    """The key of the account."""
    base_url: Annotated[str, Env("OPENAI_BASE_URL")] = "https://api.openai.com/v1"
    """Where the API is; any server that speaks OpenAI's chat completions will do."""
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    """How freely it chooses its words: 0 hardly, 2 wildly; without one, as the provider has it. Models that reason take
    none."""
    seed: int | None = None
    """With the same seed the provider tries to give the same answer to the same conversation, and promises nothing."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    """How long a model that reasons may do so before it speaks; the caller waits meanwhile."""

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        return check_url(value, "base_url").rstrip("/")


@connector(
    "openai.agent",
    ports=tool_ports,
    latency=Latency(p50=500, p95=1300),
    network=True,
    attempts=3,
    timeout=10.0,
    packages=("openai",),
    extra="openai",
)
class OpenAIAgent(ChatAgent):
    """Answers with OpenAI's GPT-4o, or with any model behind a server of the same API.

    Speech leaves as early as each piece of it can be spoken, calls of tools by the port of the tool's name. An
    interruption closes the connection, which ends the model's work.
    """

    def __init__(self, settings: OpenAISettings, context: Context) -> None:
        super().__init__(settings, context, OpenAIChat(_api(settings), context.node, context.clock, context.compute))

    @staticmethod
    async def probe(settings: OpenAISettings) -> None:
        """Return when the provider answers, takes the key and knows the model. ConnectorFailure otherwise."""
        await probed("openai.agent", _api(settings), OpenAIChat.has_model)


def _api(settings: OpenAISettings) -> ChatApi:
    options = {
        "temperature": settings.temperature, "seed": settings.seed, "reasoning_effort": settings.reasoning_effort,
    }  # fmt: skip
    return ChatApi(
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value().strip(),  # a key from a file ends in a line break
        model=settings.model,
        max_tokens=settings.max_tokens,
        first_seconds=settings.first_seconds,
        next_seconds=settings.next_seconds,
        advice=_ADVICE,
        options={name: value for name, value in options.items() if value is not None},
    )
