"""faq.agent: an agent that answers from its settings, with no model and no network.

It finds rules and facts by what the caller's words mean (stems, slips of the recogniser, like sounds), asks for what a
rule needs to know, remembers names and times as slots of the conversation, repeats itself when asked, and says that it
does not know rather than anything untrue.
"""

from __future__ import annotations

from echostack.connectors.faq_dialogue import Dialogue
from echostack.connectors.faq_settings import FaqSettings
from echostack.connectors.sentences import sentences
from echostack.core.payloads import AgentMessage, AgentMessagePartial, CallStarted, Text
from echostack.registry import ITSELF, Context, Latency, connector


@connector("faq.agent", latency=Latency(p50=1, p95=5), simulation=ITSELF)
class FaqAgent:
    """Answers from rules and facts in its settings: greets, asks for what it needs, repeats itself, knows its limits.

    An answer leaves sentence by sentence as agent_message.partial, then whole as agent_message, all with one id. A turn
    without words gets no answer. The greeting is said when call_started reaches it.
    """

    def __init__(self, settings: FaqSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._dialogue = Dialogue(settings)
        self._count = 0

    def __call__(self, event: Text | CallStarted) -> tuple[AgentMessagePartial | AgentMessage, ...]:
        """The answer to one turn of the caller, or the greeting. Synchronous: no answer is ever half made."""
        conversation = self._context.conversation
        if isinstance(event, CallStarted):
            return self._spoken(self._dialogue.greeting(conversation.slots))
        said = self._dialogue.answer(
            event.text, conversation.slots, conversation.turns, confidence=event.confidence
        )  # fmt: skip
        return self._spoken(said)

    def snapshot(self) -> tuple[int, object]:
        """What is remembered of the call, to be put back when what was asked turns out never to have been said."""
        return self._count, self._dialogue.snapshot()

    def restore(self, snapshot: tuple[int, object]) -> None:
        """Put back what ``snapshot`` gave."""
        self._count, remembered = snapshot
        self._dialogue.restore(remembered)

    def _spoken(self, text: str) -> tuple[AgentMessagePartial | AgentMessage, ...]:
        pieces = sentences(text)
        if not pieces:
            return ()
        self._count += 1
        utterance = f"{self._context.node}-{self._count}"
        how = {"interruptible": self._settings.interruptible, "language": self._settings.language}
        partials = (
            AgentMessagePartial(piece, utterance, final=index == len(pieces) - 1, **how)  # type: ignore[arg-type]
            for index, piece in enumerate(pieces)
        )
        return (*partials, AgentMessage(" ".join(pieces), utterance, **how))  # type: ignore[arg-type]
