"""What ``claude.agent`` can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from echostack.connectors.chat.settings import ChatSettings
from echostack.connectors.http_call import check_url
from echostack.connectors.keys import header_key
from echostack.registry import Env


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

    @property
    def key(self) -> str:
        """The key as a header takes it. ConnectorFailure when there is none that it can take."""
        return header_key(
            self.api_key, node="claude.agent", variable="ANTHROPIC_API_KEY", source="https://platform.claude.com"
        )

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return check_url(value, "base_url").rstrip("/")
