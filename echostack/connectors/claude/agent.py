"""``claude.agent``: answers the caller with a Claude model, through Anthropic's Messages API."""

from __future__ import annotations

from echostack.connectors.chat.agent import ChatAgent
from echostack.connectors.chat.settings import tool_ports
from echostack.connectors.claude.provider import ClaudeProvider, probed
from echostack.connectors.claude.settings import ClaudeSettings
from echostack.registry import Context, Latency, connector


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
