"""What a chat agent remembers of a call: the tools that it asked for and what came of them, between what was said.

What was said is the session's conversation, where the agent's words stand only as far as they were heard. A memory
adds the calls of tools at their places, and makes of both the entries that providers take: beginning and ending with
the caller, the two sides in turn, and every call answered in the very next entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from echostack.connectors.chat.entries import Entries
from echostack.connectors.chat.words import Call, Result, Said
from echostack.core.payloads import Text
from echostack.registry import Turn

LEFT_OUT: Final = "(Earlier parts of the call are left out.)"
NO_RESULT: Final = "There is no result: the caller went on before the tool was done. Whether it ran is not known."
_LONGEST_RESULT: Final = 16_000  # characters of a tool's result that the model is told
_QUARTERS: Final = 4  # the window moves a quarter at a time, so that a provider's cache of what was sent holds

Key = tuple[tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn of the caller that was answered: its words with how many turns before had the same ones, its text, and
    how many turns stood before it."""

    key: Key
    text: str
    place: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer that asked for tools: in which turn, the utterance and words that it began with, what came of it, and
    whose answer it was."""

    asked: Asked
    utterance: str
    said: str
    calls: tuple[Call, ...]
    results: tuple[Result, ...] = ()
    ended: bool = False
    """Whether the answer is over, so that no further call comes."""
    by: str = ""

    @property
    def whole(self) -> bool:
        return self.ended and {c.id for c in self.calls} <= {r.id for r in self.results}

    def result_of(self, call: Call) -> Result:
        """What the model is told came of ``call``."""
        return next((r for r in self.results if r.id == call.id), Result(call.id, NO_RESULT, failed=True))


@dataclass(frozen=True, slots=True)
class State:
    """All that a memory holds. It never changes; a new one takes its place."""

    exchanges: tuple[Exchange, ...] = ()
    current: Asked | None = None
    continuing: bool = False
    """Whether the newest exchange belongs to the answer that is being worked on."""


@dataclass(slots=True)
class Kept:
    """What all members of a choice among agents remember together, so that any of them can go on with a turn.
    ``gave_up``: the call with whose result the last one that was asked failed to go on."""

    state: State = field(default_factory=State)
    gave_up: str = ""


class ChatMemory:
    """The tools of one agent in one call, or, with the same ``kept``, of several of which one is asked at a time.
    ``state`` may be kept and put back at any time.

    turns, characters: how much of the conversation the model is told at most, the latest of it. node, offers: whose
    memory it is, and whether it has a tool of a name: a model is told of its own calls, and of others' as far as it has
    their tools, because providers refuse calls of a tool that they are not told of.
    """

    def __init__(
        self,
        *,
        turns: int,
        characters: int,
        kept: Kept | None = None,
        node: str = "",
        offers: Callable[[str], bool] = bool,
    ) -> None:
        self._turns, self._characters = turns, characters
        self.kept = kept if kept is not None else Kept()
        self._node, self._offers = node, offers

    @property
    def state(self) -> State:
        return self.kept.state

    @state.setter
    def state(self, state: State) -> None:
        self.kept.state = state

    # -- what happens ------------------------------------------------------------------------------------------

    def ask(self, text: Text, turns: Sequence[Turn]) -> None:
        """The caller's turn ``text`` is answered from here on; what was asked for before is over."""
        words = words_of(text.text)
        at = _place_of(text, words, turns)
        place = len(turns) if at is None else at
        before = sum(1 for t in turns[:place] if t.role == "caller" and words_of(t.text) == words)
        self.state = State(self.state.exchanges, Asked((words, before), text.text.strip(), place))

    def call(self, call: Call, utterance: str, said: str) -> None:
        """The model asks for ``call``, in an answer that said ``said`` as ``utterance`` before it."""
        state = self.state
        assert state.current is not None
        last = state.exchanges[-1] if state.exchanges else None
        if state.continuing and last is not None and not last.ended and last.by == self._node:
            changed = replace(last, calls=(*last.calls, call))
            self.state = replace(state, exchanges=(*state.exchanges[:-1], changed))
            return
        made = Exchange(state.current, utterance, said, (call,), by=self._node)
        # As many as there are turns told of: what is older could have no place any more.
        self.state = replace(state, exchanges=(*state.exchanges, made)[-self._turns :], continuing=True)

    def end(self) -> None:
        """The answer that asked for tools is over."""
        if self.state.continuing and self.state.exchanges:
            last = replace(self.state.exchanges[-1], ended=True)
            self.state = replace(self.state, exchanges=(*self.state.exchanges[:-1], last))

    def result(self, result: Result) -> bool:
        """Keep what came of a call; the first result counts. False when no call is known by its id."""
        at = self._asking(result.id)
        if at is None:
            return False
        exchange = self.state.exchanges[at]
        if all(r.id != result.id for r in exchange.results):
            changed = replace(exchange, results=(*exchange.results, _bounded(result)))
            exchanges = (*self.state.exchanges[:at], changed, *self.state.exchanges[at + 1 :])
            self.state = replace(self.state, exchanges=exchanges)
        return True

    def knows(self, call: str) -> bool:
        """Whether a call of this id was asked for."""
        return self._asking(call) is not None

    def answered(self, call: str) -> bool:
        """Whether what came of the call is known."""
        at = self._asking(call)
        return at is not None and any(r.id == call for r in self.state.exchanges[at].results)

    def _asking(self, call: str) -> int | None:
        """Which exchange asked for the call; the newest, because some servers count their calls anew in each answer."""
        exchanges = self.state.exchanges
        found = (at for at in reversed(range(len(exchanges))) if any(c.id == call for c in exchanges[at].calls))
        return next(found, None)

    @property
    def ready(self) -> bool:
        """Whether everything that the answer waited for is there."""
        return self.state.continuing and self.state.exchanges[-1].whole

    @property
    def rounds(self) -> int:
        """How often tools were asked for in the present turn."""
        current = self.state.current
        return sum(1 for e in self.state.exchanges if e.asked == current)

    def go_on(self) -> None:
        """The results are there: the next answer begins, and may ask for tools again."""
        self.state = replace(self.state, continuing=False)

    # -- what the model is told --------------------------------------------------------------------------------

    def said(self, turns: Sequence[Turn], *, results: bool) -> list[Said]:
        """The conversation up to the present turn as providers take it. ``results``: what it ends with is what came of
        the newest calls, and not the caller's words, unless the model has not the tools for those."""
        current = self.state.current
        assert current is not None
        last = self.state.exchanges[-1] if results and self.state.exchanges else None
        last = last if last is not None and self._tells(last) else None
        told, found = list(turns), False
        at = _occurrence(turns, current.key)
        if at is not None:
            found = True
            # What came after the turn that is answered belongs to the turns that are yet to be answered; with results,
            # what the agent said before it asked for them belongs to this one.
            told = told[: at + 1 if last is None else _next_turn(told, at)]
            told[at] = replace(told[at], text=current.text)
        start = self._start(told)
        entries = Entries()
        if start:
            entries.caller(LEFT_OUT)
        for entry in self._woven(told, start, last, None if found else current):
            entries.add(entry)
        return entries.whole(current.text, self._characters)

    def _woven(
        self, turns: Sequence[Turn], start: int, last: Exchange | None, unrecorded: Asked | None
    ) -> Iterator[Said]:
        heard = {t.utterance for t in turns if t.role == "agent" and t.utterance}
        by_place, rest = self._placed(turns, heard, last)
        counted: dict[tuple[str, ...], int] = {}
        for index, turn in enumerate(turns):
            if turn.role == "caller":
                words = words_of(turn.text)
                key = (words, counted.get(words, 0))
                counted[words] = key[1] + 1
                following = by_place.get(key, ())
                entry = Said("user", turn.text)
            else:
                following = by_place.get(turn.utterance, ()) if turn.utterance else ()
                entry = Said("assistant", _heard(turn))
            if index < start:
                continue
            for exchange in rest.get(index, ()):
                yield Said("user", exchange.asked.text)
                yield from _told(exchange)
            if following and following[0].utterance == turn.utterance and turn.role == "agent":
                yield Said("assistant", entry.text, following[0].calls)
                yield _results(following[0])
                following = following[1:]
            else:
                yield entry
            for exchange in following:
                yield from _told(exchange)
        if unrecorded is not None:
            yield Said("user", unrecorded.text)
            for exchange in self._exchanges():
                if exchange.asked == unrecorded and exchange is not last and exchange.utterance not in heard:
                    yield from _told(exchange)
        if last is not None:
            # What is being said still, or was said a moment ago, without a record of it yet.
            saying = "" if last.utterance in heard else last.said
            yield Said("assistant", saying, last.calls)
            yield _results(last)

    def _placed(
        self, turns: Sequence[Turn], heard: set[str], last: Exchange | None
    ) -> tuple[Mapping[Key | str, list[Exchange]], Mapping[int, list[Exchange]]]:
        """The exchanges by what they come after: an utterance that was heard, or a turn of the caller; and by place
        those whose turn the conversation does not hold."""
        by_place: dict[Key | str, list[Exchange]] = {}
        rest: dict[int, list[Exchange]] = {}
        after: dict[Asked, Key | str] = {}
        for exchange in self._exchanges():
            if exchange is last:
                continue
            asked = exchange.asked
            if exchange.utterance in heard:
                after[asked] = exchange.utterance
            elif asked not in after:
                if _occurrence(turns, asked.key) is None:
                    if asked != self.state.current:
                        rest.setdefault(min(asked.place, max(len(turns) - 1, 0)), []).append(exchange)
                    continue
                after[asked] = asked.key
            by_place.setdefault(after[asked], []).append(exchange)
        return by_place, rest

    def _tells(self, exchange: Exchange) -> bool:
        return exchange.by == self._node or all(self._offers(c.name) for c in exchange.calls)

    def _exchanges(self) -> Iterator[Exchange]:
        """What this agent's model is told of."""
        return filter(self._tells, self.state.exchanges)

    def _start(self, turns: Sequence[Turn]) -> int:
        """The first turn that is told of. It stays for a while and then moves by a quarter of the window."""
        step = max(1, self._turns // _QUARTERS)
        start = max(0, len(turns) - self._turns)
        came: dict[int, int] = {}
        for exchange in self._exchanges():
            came[exchange.asked.place] = came.get(exchange.asked.place, 0) + sum(len(r.text) for r in exchange.results)
        characters = 0
        for index in range(len(turns) - 1, start - 1, -1):
            characters += len(turns[index].text) + came.get(index, 0)
            if characters > self._characters:
                start = index + 1
                break
        start = -(-start // step) * step
        return min(start, max(0, len(turns) - 1))


def words_of(text: str) -> tuple[str, ...]:
    """What two records of one turn have in common: its words, without case and marks: a guess may have other ones."""
    bare = ("".join(c for c in w if c.isalnum()) for w in text.casefold().split())
    return tuple(w for w in bare if w)


def _told(exchange: Exchange) -> tuple[Said, Said]:
    return Said("assistant", "", exchange.calls), _results(exchange)


def _results(exchange: Exchange) -> Said:
    return Said("user", results=tuple(exchange.result_of(c) for c in exchange.calls))


def _heard(turn: Turn) -> str:
    return f"{turn.text.rstrip(' .,;:!?-–—…')}—" if turn.cut else turn.text


def _place_of(text: Text, words: tuple[str, ...], turns: Sequence[Turn]) -> int | None:
    """Where the conversation holds ``text``: at its end, but for turns of the caller that wait to be answered, or under
    the same times a little before."""
    trailing = True
    for index in range(len(turns) - 1, max(-1, len(turns) - 17), -1):
        turn = turns[index]
        if turn.role != "caller":
            trailing = False
            continue
        same_time = text.end > 0 and (turn.start, turn.end) == (text.start, text.end)
        if same_time or (trailing and words_of(turn.text) == words):
            return index
    return None


def _occurrence(turns: Sequence[Turn], key: Key) -> int | None:
    words, wanted = key
    for index, turn in enumerate(turns):
        if turn.role == "caller" and words_of(turn.text) == words:
            if wanted == 0:
                return index
            wanted -= 1
    return None


def _next_turn(turns: Sequence[Turn], at: int) -> int:
    """Where the caller's next turn after ``at`` stands; behind them all when there is none."""
    return next((i for i in range(at + 1, len(turns)) if turns[i].role == "caller"), len(turns))


def _bounded(result: Result) -> Result:
    if len(result.text) <= _LONGEST_RESULT:
        return result
    return replace(result, text=result.text[:_LONGEST_RESULT] + " … (cut: the rest is longer than what can be told)")
