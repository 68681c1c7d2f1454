"""The connector as an agent, held to the contract of agents."""

from __future__ import annotations

from typing import ClassVar

from echostack_loyalty.lookup import LoyaltyLookup

from echostack.testing.contracts import AgentContract


class TestLoyaltyLookup(AgentContract):
    connector = LoyaltyLookup
    settings: ClassVar = {"cards": {"4711": {"holder": "Ann", "points": 120}, "815": {"holder": "Bob"}}}
    questions = ("My card is 4 7 1 1.", "It is card 8 1 5.")
