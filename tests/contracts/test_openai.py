"""openai.agent and llama.agent, held to the contract of agents, against local servers of their APIs."""

from __future__ import annotations

from echostack.connectors.openai.agent import OpenAIAgent
from echostack.connectors.openai.llama import LlamaAgent
from echostack.providers.brain import Script, last_said
from echostack.providers.openai.llama import LlamaServer
from echostack.providers.openai.server import OpenAIServer
from echostack.testing.contracts import AgentContract
from echostack.testing.contracts.far_end import AgentScript, FarEnd


def brain(script: AgentScript) -> Script:
    return Script(lambda messages: script.answer(last_said(messages)), pause=script.pause)


class TestOpenAI(AgentContract):
    connector = OpenAIAgent
    half_open_settings = {"first_seconds": 0.2, "next_seconds": 0.2}

    def far_end(self, script: AgentScript) -> FarEnd:
        return OpenAIServer(brain=brain(script))


class TestLlama(AgentContract):
    connector = LlamaAgent
    half_open_settings = {"first_seconds": 0.2, "next_seconds": 0.2}

    def far_end(self, script: AgentScript) -> FarEnd:
        return LlamaServer(brain=brain(script))
