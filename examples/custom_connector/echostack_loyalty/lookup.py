"""loyalty.lookup: finds the number of a loyalty card in what a caller says, and whose it is."""

from __future__ import annotations

from pydantic import Field

from echostack.core.kinds import Payload, kind
from echostack.core.payloads import AgentMessage, Text
from echostack.registry import ConnectorSettings, Context, connector


@kind("loyalty_card", keep=True)
class LoyaltyCard(Payload, frozen=True, gc=False):
    """A loyalty card that the caller named: a kind of this package's own."""

    number: str
    holder: str
    points: int


class Card(ConnectorSettings):
    """One card."""

    holder: str
    """Whose it is."""
    points: int = Field(default=0, ge=0)
    """How many points it has."""


class LoyaltySettings(ConnectorSettings):
    """The cards that are known."""

    cards: dict[str, Card] = Field(min_length=1)
    """Card number, digits only, and the card."""


@connector("loyalty.lookup")
class LoyaltyLookup:
    """Answers a caller who reads out the number of a loyalty card, and gives the card on.

    A turn without the number of a known card gets no answer.
    """

    def __init__(self, settings: LoyaltySettings, context: Context) -> None:
        self._settings = settings
        self._context = context

    def __call__(self, turn: Text) -> tuple[LoyaltyCard | AgentMessage, ...]:
        digits = "".join(c for c in turn.text if c.isascii() and c.isdigit())
        for number, card in self._settings.cards.items():
            if number in digits:
                # Slots are shared by the whole call: faq.agent may say {name} from now on.
                self._context.conversation.slots["name"] = card.holder
                said = f"Welcome back, {card.holder}. You have {card.points} points."
                return LoyaltyCard(number, card.holder, card.points), AgentMessage(said)
        return ()
