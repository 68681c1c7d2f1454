"""What a `.echo` file may say to faq.agent: its facts, its rules, and the words for everything else."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from echostack.connectors.patterns import Pattern
from echostack.connectors.template import Template
from echostack.connectors.values import SlotKind, kind_for
from echostack.registry import ConnectorSettings

Lines = tuple[str, ...]

SMALL_TALK: Final[dict[str, str]] = {
    "hello": "Hello! How can I help you?",
    "how_are_you": "I am well, thank you. How can I help you?",
    "thanks": "You are very welcome.",
    "bye": "Thank you for calling. Goodbye!",
    "done": "All right. Thank you for calling, and goodbye!",
    "who": "I am an automated assistant. How can I help you?",
    "ok": "Is there anything else I can help you with?",
    "go_ahead": "Of course. What would you like to know?",
    "cancelled": "All right, I have left that. Is there anything else?",
    "nothing_said": "I have not said anything yet.",
    "nothing_heard": "I have not heard anything from you before that.",
    "you_said": "You said: {said}",
    "pardon": "Sorry, I did not get that.",
    "gave_up": "I am sorry, I could not get that. Let us leave it for now.",
    "change": "What should I change?",
}
"""The lines of faq.agent that a file may replace, by their keys under ``small_talk``."""


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Fact(ConnectorSettings):
    """One thing the agent knows. Without ``ask`` it is found by its own words."""

    ask: Lines = ()
    """Ways in which callers ask for it; one string or several."""
    say: str = Field(min_length=1)
    """The answer, with {slot}s."""

    _one = field_validator("ask", mode="before")(_several)

    @field_validator("say")
    @classmethod
    def _reads(cls, value: str) -> str:
        Template(value)
        return value


class Rule(ConnectorSettings):
    """What to say when a phrase is heard, and what to find out first."""

    id: str = ""
    """A name, for ``then`` and ``after`` of other rules."""
    when: Lines = ()
    """Patterns: words, [words that may be missing], * for any words, {slot} or {slot:kind} for a value."""
    say: Lines = ()
    """The answer, one line or several that take turns; a line whose {slots} are all known goes first."""
    set: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Slots to write into the conversation; texts may hold {slots}."""
    needs: dict[str, str] = Field(default_factory=dict)
    """Slots to find out before ``say``, each with the question to ask; asked in this order, known ones never."""
    kinds: dict[str, SlotKind] = Field(default_factory=dict)
    """What a slot holds: name, number, time, day, phone, yes_no or words. Its own name tells by default."""
    confirm: str = ""
    """A question to be answered with yes before ``say``, with {slots}."""
    after: Lines = ()
    """The rule counts only when one of these rules spoke last."""
    then: str = ""
    """The rule to go on with, in the same breath."""

    _one = field_validator("when", "say", "after", mode="before")(_several)

    @model_validator(mode="after")
    def _reads(self) -> Rule:
        for slot, kind in self.kinds.items():
            if slot not in self.needs and not any(f"{{{slot}" in w for w in self.when):
                raise ValueError(f"kinds says that {slot!r} is a {kind}, but neither when nor needs has it")
        for pattern in self.when:
            Pattern(pattern, self.kinds)
        for text in (
            *self.say,
            *self.needs.values(),
            self.confirm,
            *(v for v in self.set.values() if isinstance(v, str)),
        ):
            Template(text)
        if not self.when and not self.id:
            raise ValueError("a rule needs when, or an id that another rule's then names")
        if not (self.say or self.needs or self.then or self.set):
            raise ValueError("a rule needs something to do: say, needs, set or then")
        if self.confirm and not self.needs:
            raise ValueError("confirm goes with needs: there is nothing to confirm")
        return self

    def kind(self, slot: str) -> str:
        """What ``slot`` holds."""
        return self.kinds.get(slot) or kind_for(slot)


class FaqSettings(ConnectorSettings):
    """What the agent knows and how it talks."""

    greeting: str = ""
    """Said when call_started reaches the agent (route control.call.call_started to it)."""
    facts: tuple[Fact, ...] = ()
    """Question and answer pairs ({ask, say}), or passages of text to answer from."""
    rules: tuple[Rule, ...] = ()
    """Phrases and what to say and find out; a rule goes before a fact that fits as well."""
    synonyms: dict[str, Lines] = Field(default_factory=dict)
    """Words and the phrases that mean the same: {price: [cost, how much]}."""
    fallback: Lines = Field(
        default=(
            "I am sorry, I do not know that. Could you ask in another way?",
            "I am afraid I cannot answer that. Is there something else I can help with?",
        ),
        min_length=1,
    )
    """Said in turn when nothing fits."""
    follow_ups: Lines = ()
    """Said in turn after every second answer: "Is there anything else?"."""
    small_talk: dict[str, str] | Literal[False] = Field(default_factory=dict)
    """Other words for the small talk, by key; false for none: then only rules and facts are answered."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """How well a fact must fit to be said, 0 to 1."""
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    """Below this confidence of the recogniser the agent asks the caller to say it again."""
    ask_at_most: int = Field(default=3, ge=1, le=10)
    """How often one question of a rule is asked before the agent gives up."""
    interruptible: bool = True
    """Whether the caller can cut the answers off."""
    language: str = "en"
    """Handed to the synthesiser; the matching itself is English."""

    _one = field_validator("fallback", "follow_ups", mode="before")(_several)

    @field_validator("facts", mode="before")
    @classmethod
    def _passages(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [{"say": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("synonyms", mode="before")
    @classmethod
    def _groups(cls, value: Any) -> Any:
        return {k: _several(v) for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits(self) -> FaqSettings:
        for text in (self.greeting, *self.fallback, *self.follow_ups):
            Template(text)
        if self.small_talk:
            unknown = sorted(set(self.small_talk) - set(SMALL_TALK))
            if unknown:
                raise ValueError(f"small_talk has no {unknown[0]!r}: there are {', '.join(SMALL_TALK)}")
            for text in self.small_talk.values():
                Template(text)
        for word in self.synonyms:
            if not word.isalpha():
                raise ValueError(f"synonyms stand under one word, not under {word!r}")
        ids = [r.id for r in self.rules if r.id]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"two rules have the id {twice[0]!r}")
        for rule in self.rules:
            for name in (*rule.after, *((rule.then,) if rule.then else ())):
                if name not in ids:
                    raise ValueError(f"a rule names the rule {name!r}, which there is not: there are {', '.join(ids)}")
        return self
