"""Every agent, held to the contract of agents."""

from __future__ import annotations

from echostack.connectors.faq_agent import FaqAgent
from echostack.connectors.say_agent import SayAgent
from echostack.testing.contracts import AgentContract
from echostack.testing.contracts.agent import HOURS, PLACE


class TestFaq(AgentContract):
    connector = FaqAgent
    settings = {"facts": [{"ask": HOURS, "say": "From nine to six."}, {"ask": PLACE, "say": "At twelve Mill Lane."}]}


class TestSay(AgentContract):
    connector = SayAgent
    settings = {"text": ["One moment. I look it up.", "Yet another moment."]}
    needs_words = False
