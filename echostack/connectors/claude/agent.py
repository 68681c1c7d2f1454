"""``claude.agent``: answers the caller with a Claude model, through Anthropic's Messages API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from echostack.connectors.chat.agent import ChatAgent
from echostack.connectors.chat.settings import ChatSettings, tool_ports
from echostack.connectors.claude.provider import ClaudeProvider, probed
from echostack.connectors.http_call import check_url
from echostack.registry import Context, Env, Latency, connector


class ClaudeSettings(ChatSettings):
    """Which model, with whose key, and what every chat agent can be told."""

    api_key: Annotated[SecretStr, Env("ANTHROPIC_API_KEY")]
    """The key of the account, from the environment unless it is given."""
    base_url: Annotated[str, Env("ANTHROPIC_BASE_URL")] = "https://api.anthropic.com"
    """Where the API is, http:// or https://."""
    model: str = Field(default="claude-haiku-5-5", min_length=1, max_length=256)
    """The model's name; the default is the fastest of the current ones."""
    thinking: Literal["disabled", "adaptive", "model"] = "disabled"
    """Whether the model thinks before it speaks, which the caller has to wait for: not, as it finds right, or as the
    model does by itself."""
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    """How much work the model puts into an answer, where it can be told; the model's own measure without."""
    cache: Literal["5m", "1h", "off"] = "5m"
    """How long the provider keeps the prompt for the next request of the call, so that it answers sooner and charges
    less."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return check_url(value).rstrip("/")


@connector(
    "claude.agent",
    ports=tool_ports,
    network=True,
    latency=Latency(p50=600, p95=1500),
    attempts=3,
    timeout=10.0,
    packages=("anthropic",),
    extra="anthropic",
)
class ClaudeAgent(ChatAgent):
    """Answers the caller with a Claude model: speech piece by piece, and calls of tools by the port of their name.

    The prompt is cached at the provider, so that each turn of a call reads what the turn before wrote. An overloaded
    provider or a used-up rate is tried again after the time that it names; a wrong key, an unknown model or a refused
    request is not. An answer that does not begin, or does not go on, fails, so that another agent can take over.

    Simulated: by an agent that answers in text, or as the scenario has it.
    """

    def __init__(self, settings: ClaudeSettings, context: Context) -> None:
        super().__init__(settings, context, ClaudeProvider(settings, context))

    @staticmethod
    async def probe(settings: ClaudeSettings) -> None:
        """Return when the API answers, takes the key and knows the model. ConnectorFailure that says what to do."""
        await probed("claude.agent", settings)
