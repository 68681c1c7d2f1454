"""What faq.agent answers: a pure function of its settings, of what was said before, and of what is said now.

In this order: a question about the conversation itself (repeat that, what did I say, go on), the form of a rule under
way, rules and facts by how well they fit, small talk, and a fallback line. Nothing is made up: every sentence stands in
the settings, or is one of the lines of faq_settings.SMALL_TALK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from echostack.connectors.compiled import PerSettings
from echostack.connectors.faq_form import LASTING, Form, is_question
from echostack.connectors.faq_settings import SMALL_TALK, FaqSettings, Rule
from echostack.connectors.matching import PLACE_AND_TIME, Index, Synonyms
from echostack.connectors.patterns import Match, Pattern
from echostack.connectors.plain import plain
from echostack.connectors.sentences import sentences
from echostack.connectors.template import Template
from echostack.connectors.values import find
from echostack.connectors.words import FILLERS, Token, content, tokenise
from echostack.registry import Turn

_PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "repeat": (
        "repeat that", "repeat it", "repeat", "say that again", "say it again", "what did you say", "pardon",
        "pardon me", "come again", "what was that", "one more time", "did not hear you", "did not catch that",
        "did not understand you", "sorry what", "excuse me what", "what",
    ),
    "said": ("what did i say", "what have i said", "what did i tell you", "what did i ask", "what was my question"),
    "go_on": ("go on", "carry on", "continue", "keep going", "you were saying", "finish what you were saying"),
    "cancel": (
        "cancel that", "cancel it", "cancel", "never mind", "forget it", "forget that", "forget about it", "stop that",
        "leave it", "i changed my mind", "i have changed my mind", "start over",
    ),
    "bye": ("goodbye", "good bye", "bye", "bye bye", "see you", "have a nice day", "have a good day",
            "talk to you later"),
    "done": (
        "that is all", "that is everything", "that is it", "that will be all", "that would be all", "nothing else",
        "no thank you", "no thanks", "i am all set", "all good",
    ),
    "thanks": ("thank you", "thanks", "cheers", "much appreciated", "appreciate it"),
    "how_are_you": ("how are you", "how are you doing", "how is it going"),
    "who": (
        "who are you", "what are you", "are you a robot", "are you a machine", "are you human", "are you a real person",
        "am i talking to a machine", "am i speaking to a robot", "is this a robot", "what is your name",
    ),
    "hello": ("hello", "hi", "hey", "good morning", "good afternoon", "good evening", "hi there", "can you hear me"),
    "go_ahead": ("i have a question", "i have another question", "can i ask you something", "can you help me",
                 "i need help", "i need some help", "one more question", "another question", "one more thing"),
    "ok": ("ok", "okay", "alright", "all right", "great", "perfect", "good", "fine", "got it", "i see", "wonderful",
           "lovely", "that is great", "sounds good", "excellent"),
}  # fmt: skip
_WHOLE: Final = 0.85  # quality from which a phrase of ours is what the whole utterance means
_DEPTH: Final = 5  # rules that `then` may go on through in one answer
_RULE_FIRST: Final = 0.1  # how much better a fact must fit than a rule


@dataclass(frozen=True, slots=True)
class Said:
    """What the agent said last: its text, whether it was an answer (so a follow-up may come) and the rule's id."""

    text: str
    rule: str = ""
    offered: bool = False


@dataclass(frozen=True, slots=True)
class _Choice:
    """A candidate answer: a rule with how it matched, or a fact by its index."""

    quality: float
    rule: Rule | None = None
    match: Match | None = None
    fact: int = -1


class _Tables:
    """What the settings say, in the form in which it is looked up. The same for every call with them: nothing of it
    changes."""

    def __init__(self, settings: FaqSettings) -> None:
        self.talk = None if settings.small_talk is False else {**SMALL_TALK, **settings.small_talk}
        self.synonyms = Synonyms(settings.synonyms)
        self.rules = [
            (rule, [Pattern(text, {**{s: rule.kind(s) for s in rule.needs}, **rule.kinds}) for text in rule.when])
            for rule in settings.rules
        ]
        self.by_id = {r.id: r for r in settings.rules if r.id}
        questions = [(q, i) for i, f in enumerate(settings.facts) for q in f.ask]
        self.owners = [i for _, i in questions]
        self.questions = Index([q for q, _ in questions], self.synonyms)
        # "How do I get there" has no telling word to find it by: such a question is known by all of its words.
        self.plain_questions = [
            (stems, i) for q, i in questions if (t := tokenise(q)) and _untelling(t) and (stems := _stems(t))
        ]
        self.passages = Index([" ".join((*f.ask, f.say)) for f in settings.facts], self.synonyms)


_TABLES: Final[PerSettings[FaqSettings, _Tables]] = PerSettings(_Tables)


class Dialogue:
    """One call's conversation with the settings. ``slots`` of the conversation are read and written in place."""

    def __init__(self, settings: FaqSettings) -> None:
        self._settings = settings
        tables = _TABLES(settings)
        self._talk, self._synonyms, self._rules, self._by_id = (
            tables.talk, tables.synonyms, tables.rules, tables.by_id,
        )  # fmt: skip
        self._owners, self._questions, self._passages = tables.owners, tables.questions, tables.passages
        self._plain_questions = tables.plain_questions
        self._phrases = _phrases()
        self._rotation: dict[str, int] = {}
        self._form: Form | None = None
        self._done: set[int] = set()
        self._last = Said("")
        self._heard: list[str] = []  # the caller's last words, and ours below, for "what did I say" and "repeat that"
        self._said: list[str] = []
        self._answers = 0

    def snapshot(self) -> tuple[object, ...]:
        """What it remembers of the call; nothing that it says later changes it."""
        form = None if self._form is None else replace(self._form)
        return (
            dict(self._rotation), form, set(self._done), self._last, list(self._heard), list(self._said), self._answers,
        )  # fmt: skip

    def restore(self, snapshot: Any) -> None:
        """Remember what it did at the time of ``snapshot``, and nothing since. A snapshot is put back once."""
        self._rotation, self._form, self._done, self._last, self._heard, self._said, self._answers = snapshot

    @property
    def last(self) -> str:
        """The whole of the last answer, heard or not."""
        return self._last.text

    def greeting(self, slots: dict[str, Any]) -> str:
        """The greeting, empty when the settings have none."""
        return self._keep(self._render(self._settings.greeting, slots)) if self._settings.greeting else ""

    def answer(self, text: str, slots: dict[str, Any], turns: Sequence[Turn] = (), *, confidence: float = 1.0) -> str:
        """What to say to ``text``; empty when nothing was said that could be answered (silence, "um")."""
        tokens = self._synonyms.apply(tokenise(text))
        if not [t for t in tokens if t.word not in FILLERS]:
            return ""
        before, self._heard = self._heard, [*self._heard[-9:], text]
        if confidence < self._settings.min_confidence:
            return self._line("pardon", slots) or self._fallback(slots)
        said = self._about_the_talk(tokens, text, slots, turns, before)
        if said:
            return said  # not kept: "repeat that" twice repeats the answer, not the repetition
        if self._form is not None:
            said = self._go_through_form(self._form, tokens, slots)
        if not said:
            said = self._find_answer(tokens, slots) or self._chat(tokens, slots)
        if not said:
            said = self._keep(self._fallback(slots), self._last.rule)
        return said

    # The conversation itself

    def _about_the_talk(
        self, tokens: tuple[Token, ...], text: str, slots: dict[str, Any], turns: Sequence[Turn], before: list[str]
    ) -> str:
        if self._talk is None:
            return ""
        meant = self._phrase(tokens, ("repeat", "said", "go_on"))
        if meant is None or self._user_rule_fits(tokens):
            return ""
        if meant == "said":
            theirs = [t.text for t in turns if t.role == "caller"] or [*before, text]
            if theirs and theirs[-1].strip() == text.strip():
                theirs = theirs[:-1]
            # Nobody who asks this wants to hear "can you repeat that".
            theirs = [t for t in theirs if self._phrase(tokenise(t), ("repeat", "said", "go_on")) is None]
            return (
                self._line("you_said", {**slots, "said": theirs[-1]}) if theirs else self._line("nothing_heard", slots)
            )
        agent = next((t for t in reversed(turns) if t.role == "agent"), None)
        ours = self._last.text
        if meant == "go_on":
            rest = _rest(ours, agent.text) if agent is not None and agent.cut else ""
            return rest or ours or self._line("nothing_said", slots)
        if agent is not None and agent.text and not any(own.startswith(agent.text[:20]) for own in self._said):
            return agent.text  # another voice of this call spoke last
        return ours or self._line("nothing_said", slots)

    def _phrase(self, tokens: tuple[Token, ...], keys: Sequence[str], *, least: float = _WHOLE) -> str | None:
        best, quality = None, least
        for key in keys:
            for pattern in self._phrases[key]:
                match = pattern.match(tokens)
                if match is not None and match.score > 0.9 and match.quality > quality:
                    best, quality = key, match.quality
        return best

    def _user_rule_fits(self, tokens: tuple[Token, ...]) -> bool:
        choice = self._best_rule(tokens)
        return choice is not None and choice.quality >= 0.95

    # Rules with questions

    def _go_through_form(self, form: Form, tokens: tuple[Token, ...], slots: dict[str, Any]) -> str:
        if self._phrase(tokens, ("cancel",)) and not self._user_rule_fits(tokens):
            self._form = None
            return self._keep(self._line("cancelled", slots) or self._fallback(slots))
        other = self._best(tokens)
        # A bare answer often shares a word with some fact; a question that fits one is a question.
        if other is not None and (other.rule is form.rule or (other.quality < 0.8 and not is_question(tokens))):
            other = None
        yes_no = find("yes_no", tokens, asked=True) if form.confirming else None
        values = form.take(tokens, bare=other is None)
        if values and not (
            form.confirming and yes_no is not None and yes_no.text == "yes" and len(content(tokens)) <= 2
        ):
            changed = any(slots.get(slot) != value for slot, value in values.items())
            slots.update(values)
            form.misses = 0
            if changed or not form.confirming:
                return self._ask_next(form, slots)
        if yes_no is not None:
            form.misses = 0
            if yes_no.text == "yes":
                return self._finish(form, slots)
            form.asked = ""
            return self._keep(self._line("change", slots) or self._question(form, slots))
        if other is not None and other.fact >= 0:
            # A question in between is answered, and ours asked again.
            return self._keep(f"{self._fact(other.fact, tokens, slots)} {self._question(form, slots)}", form.rule.id)
        if other is not None and other.rule is not None and other.match is not None and not other.rule.needs:
            said = self._run(other.rule, other.match, tokens, slots)
            return self._keep(f"{said} {self._question(form, slots)}".strip(), form.rule.id)
        if other is not None and other.rule is not None and other.match is not None:
            self._form = None
            return self._keep(self._run(other.rule, other.match, tokens, slots), other.rule.id)
        if self._phrase(tokens, ("bye", "done")):
            self._form = None
            return ""
        if self._phrase(tokens, ("ok", "thanks", "hello", "go_ahead")):
            return self._keep(self._question(form, slots), form.rule.id)
        form.misses += 1
        if form.misses >= self._settings.ask_at_most:
            self._form = None
            return self._keep(self._line("gave_up", slots) or self._fallback(slots))
        return self._keep(f"{self._line('pardon', slots)} {self._question(form, slots)}".strip(), form.rule.id)

    def _ask_next(self, form: Form, slots: dict[str, Any]) -> str:
        missing = form.missing(slots)
        if missing or form.rule.confirm:
            form.asked, form.confirming = missing, not missing
            return self._keep(self._question(form, slots), form.rule.id)
        return self._finish(form, slots)

    def _question(self, form: Form, slots: dict[str, Any]) -> str:
        form.asked = form.missing(slots)
        form.confirming = not form.asked
        return self._render(form.rule.needs[form.asked] if form.asked else form.rule.confirm, slots)

    def _finish(self, form: Form, slots: dict[str, Any]) -> str:
        self._form = None
        self._done.add(id(form.rule))
        return self._with_follow_up(self._say(form.rule, slots, 0), form.rule.id, slots)

    # Rules and facts

    def _find_answer(self, tokens: tuple[Token, ...], slots: dict[str, Any]) -> str:
        choice = self._best(tokens)
        parts = self._two_questions(tokens)
        if parts and (choice is None or (choice.fact >= 0 and choice.quality < 0.95)):
            return self._with_follow_up(" ".join(self._fact(i, t, slots) for i, t in parts), "", slots)
        if choice is None:
            return ""
        if choice.rule is not None and choice.match is not None:
            said = self._run(choice.rule, choice.match, tokens, slots)
            return self._keep(said, choice.rule.id) if self._form else self._with_follow_up(said, choice.rule.id, slots)
        return self._with_follow_up(self._fact(choice.fact, tokens, slots), "", slots)

    def _best(self, tokens: tuple[Token, ...]) -> _Choice | None:
        rule, fact = self._best_rule(tokens), self._best_fact(tokens)
        if rule is not None and (fact is None or rule.quality + _RULE_FIRST >= fact.quality):
            return rule
        return fact

    def _best_rule(self, tokens: tuple[Token, ...]) -> _Choice | None:
        best: _Choice | None = None
        weight = 0
        for rule, patterns in self._rules:
            if rule.after and self._last.rule not in rule.after:
                continue
            for pattern in patterns:
                match = pattern.match(tokens)
                if match is None or match.score < 0.7:
                    continue
                # A rule for just this moment goes before the general ones.
                quality = match.quality + (0.2 if rule.after else 0.0)
                if best is None or (quality, match.weight) > (best.quality, weight):
                    best, weight = _Choice(quality, rule, match), match.weight
        return best

    def _best_fact(self, tokens: tuple[Token, ...]) -> _Choice | None:
        said = _stems(tokens)
        for stems, owner in self._plain_questions:
            if any(said[at : at + len(stems)] == stems for at in range(len(said))):
                return _Choice(1.0, fact=owner)
        if _untelling(tokens):
            return None
        scores: dict[int, float] = {}
        for hit in self._questions.questions(tokens):
            owner = self._owners[hit.index]
            scores[owner] = max(scores.get(owner, 0.0), hit.score)
        for hit in self._passages.passages(tokens):
            # Sharing words with an answer is weaker evidence than sharing them with its question.
            scores[hit.index] = max(scores.get(hit.index, 0.0), hit.score * 0.9)
        if not scores:
            return None
        index = min(scores, key=lambda i: (-scores[i], i))
        return _Choice(scores[index], fact=index) if scores[index] >= self._settings.threshold else None

    def _two_questions(self, tokens: tuple[Token, ...]) -> list[tuple[int, tuple[Token, ...]]]:
        """Two facts asked for in one breath, with the words that asked for each; empty when it was one question."""
        parts: list[tuple[Token, ...]] = [()]
        for token in tokens:
            if token.word in ("and", "also") and parts[-1]:
                parts.append(())
                continue
            parts[-1] += (token,)
            if token.ends:
                parts.append(())
        found: list[tuple[int, tuple[Token, ...]]] = []
        for part in parts:
            choice = self._best_fact(part) if part else None
            if choice is None or choice.quality < min(1.0, self._settings.threshold + 0.1):
                continue
            if all(index != choice.fact for index, _ in found):
                found.append((choice.fact, part))
        return found[:2] if len(found) > 1 else []

    def _run(self, rule: Rule, match: Match, tokens: tuple[Token, ...], slots: dict[str, Any]) -> str:
        slots.update(match.slots)
        return self._start(rule, tokens, slots, set(match.slots), 0)

    def _start(self, rule: Rule, tokens: tuple[Token, ...], slots: dict[str, Any], fresh: set[str], depth: int) -> str:
        if not rule.needs:
            return self._say(rule, slots, depth, tokens)
        form = Form(rule)
        if id(rule) in self._done:  # a second round: what belonged to the first is asked again
            for slot in rule.needs:
                if slot not in fresh and rule.kind(slot) not in LASTING:
                    slots.pop(slot, None)
        slots.update({s: v for s, v in form.take(tokens, bare=False).items() if s not in fresh})
        if form.missing(slots) or rule.confirm:
            self._form = form
            return self._question(form, slots)
        self._done.add(id(rule))
        return self._say(rule, slots, depth, tokens)

    def _say(self, rule: Rule, slots: dict[str, Any], depth: int, tokens: tuple[Token, ...] = ()) -> str:
        for name, value in rule.set.items():
            slots[name] = Template(value).fill(plain(slots))[0] if isinstance(value, str) else value
        said = self._turn(f"rule {id(rule)}", rule.say, slots)
        if rule.then and depth < _DEPTH:
            said = f"{said} {self._start(self._by_id[rule.then], tokens, slots, set(), depth + 1)}".strip()
        return said

    def _fact(self, index: int, tokens: tuple[Token, ...], slots: dict[str, Any]) -> str:
        fact = self._settings.facts[index]
        said = self._render(fact.say, slots)
        pieces = sentences(said)
        if fact.ask or len(pieces) <= 3:
            return said
        # Of a long passage: the sentence that answers, and the one after it.
        hits = Index(pieces, self._synonyms).passages(tokens, most=1)
        first = hits[0].index if hits else 0
        return " ".join(pieces[first : first + 2])

    # Small talk and lines

    def _chat(self, tokens: tuple[Token, ...], slots: dict[str, Any]) -> str:
        if self._talk is None:
            return ""
        telling = [t for t in tokens if t.word not in FILLERS]
        if self._last.offered and len(telling) <= 4:
            answer = find("yes_no", tokens, asked=True)
            if answer is not None:
                return self._keep(self._line("done" if answer.text == "no" else "go_ahead", slots))
        # Long sentences that merely begin or end with "hello" or "thanks" want something else, and get the fallback.
        keys = ("bye", "done", "who", "how_are_you", "go_ahead", "thanks", "hello", "ok")
        found = [k for k in keys if self._phrase(tokens, (k,), least=0.0)]
        strange = [t for t in tokens if not t.common and not self._in_phrases(t, found)]
        if not found or len(strange) > (2 if found[0] in ("bye", "done") else 1 if found[0] != "ok" else 0):
            return ""
        if found[0] in ("bye", "done", "thanks", "ok"):
            return self._keep(self._line(found[0], slots), offered=found[0] == "ok")
        return self._keep(self._line(found[0], slots))

    def _in_phrases(self, token: Token, keys: list[str]) -> bool:
        return any(
            token.stem == word.stem for k in keys for text in _PHRASES[k] for word in tokenise(text)
        )  # fmt: skip

    def _with_follow_up(self, said: str, rule: str, slots: dict[str, Any]) -> str:
        if self._form is not None or not said or said.endswith("?"):
            return self._keep(said, rule)
        self._answers += 1
        more = ""
        if self._settings.follow_ups and self._answers % 2 == 1:
            more = self._turn("follow up", self._settings.follow_ups, slots)
        return self._keep(f"{said} {more}".strip(), rule, offered=bool(more))

    def _fallback(self, slots: dict[str, Any]) -> str:
        return self._turn("fallback", self._settings.fallback, slots)

    def _line(self, key: str, slots: dict[str, Any]) -> str:
        return self._render(self._talk[key], slots) if self._talk is not None else ""

    def _turn(self, name: str, lines: Sequence[str], slots: dict[str, Any]) -> str:
        """The next of ``lines``, passing over those whose slots are not all known as long as there is another."""
        if not lines:
            return ""
        first = self._rotation.get(name, 0)
        data = plain(slots)
        order = [(first + i) % len(lines) for i in range(len(lines))]
        filled = [(i, *Template(lines[i]).fill(data)) for i in order]
        index, text, _ = next((f for f in filled if f[2]), filled[0])
        self._rotation[name] = index + 1
        return text

    def _render(self, text: str, slots: dict[str, Any]) -> str:
        return Template(text).fill(plain(slots))[0]

    def _keep(self, text: str, rule: str = "", *, offered: bool = False) -> str:
        self._last = Said(text, rule, offered)
        self._said = [*self._said[-9:], text]
        return text


@cache
def _phrases() -> dict[str, list[Pattern]]:
    """The patterns of _PHRASES, compiled once for all calls."""
    return {key: [Pattern(p) for p in phrases] for key, phrases in _PHRASES.items()}


def _untelling(tokens: tuple[Token, ...]) -> bool:
    return all(t.common and t.word not in PLACE_AND_TIME for t in tokens)


def _stems(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    return tuple(t.stem for t in tokens if t.word not in FILLERS)


def _rest(whole: str, heard: str) -> str:
    """What is left of ``whole`` after the words ``heard``, from the beginning of the sentence that was cut."""
    said = len(heard.split())
    counted = 0
    pieces = sentences(whole)
    for index, piece in enumerate(pieces):
        counted += len(piece.split())
        if counted > said:
            return " ".join(pieces[index:])
    return ""
