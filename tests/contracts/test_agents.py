"""Every agent, held to the contract of agents."""

from __future__ import annotations

from typing import Any

from echostack.connectors.claude.agent import ClaudeAgent
from echostack.connectors.faq_agent import FaqAgent
from echostack.connectors.openai.agent import OpenAIAgent
from echostack.connectors.openai.llama import LlamaAgent
from echostack.connectors.say_agent import SayAgent
from echostack.providers.anthropic.server import AnthropicServer
from echostack.providers.brain import Script, last_said
from echostack.providers.openai.llama import LlamaServer
from echostack.providers.openai.server import OpenAIServer
from echostack.testing.contracts import AgentContract, AgentScript, FarEnd
from echostack.testing.contracts.agent import HOURS, PLACE

HASTE: dict[str, Any] = {"first_seconds": 0.3, "next_seconds": 0.3}


def brain(script: AgentScript) -> Script:
    return Script(lambda said: list(script.answer(last_said(said))), pause=script.pause)


class TestFaq(AgentContract):
    connector = FaqAgent
    settings = {"facts": [{"ask": HOURS, "say": "From nine to six."}, {"ask": PLACE, "say": "At twelve Mill Lane."}]}


class TestSay(AgentContract):
    connector = SayAgent
    settings = {"text": ["One moment. I look it up.", "Yet another moment."]}
    needs_words = False


class TestClaude(AgentContract):
    connector = ClaudeAgent
    settings = {"max_tokens": 4000, **HASTE}

    def far_end(self, script: AgentScript) -> FarEnd:
        return AnthropicServer(brain=brain(script))


class TestOpenAI(AgentContract):
    connector = OpenAIAgent
    settings = {"max_tokens": 4000, **HASTE}

    def far_end(self, script: AgentScript) -> FarEnd:
        return OpenAIServer(brain=brain(script))


class TestLlama(AgentContract):
    connector = LlamaAgent
    settings = {"max_tokens": 4000, **HASTE}
    environment = {"LLAMA_API_KEY": "local"}

    def far_end(self, script: AgentScript) -> FarEnd:
        return LlamaServer(brain=brain(script))
