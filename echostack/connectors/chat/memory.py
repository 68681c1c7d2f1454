"""What a chat agent remembers of a call: the tools that it asked for and what came of them, between what was said.

What was said is the session's conversation, where the agent's words stand only as far as they were heard. A memory
adds the calls of tools at their places, and makes of both the entries that providers take: beginning and ending with
the caller, the two sides in turn, and every call answered in the very next entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from echostack.connectors.chat.words import Call, Result, Said
from echostack.core.payloads import Text
from echostack.registry import Turn

ON_THE_LINE: Final = "(The caller is on the line.)"
"""Stands where the agent spoke first: providers want the caller's side to begin."""

LEFT_OUT: Final = "(Earlier parts of the call are left out.)"
NO_RESULT: Final = "There is no result: the caller went on before the tool was done. Whether it ran is not known."
NO_WORDS: Final = "(The caller said nothing that could be understood.)"
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
    """One answer that asked for tools: in which turn, the utterance and words that it began with, and what came."""

    asked: Asked
    utterance: str
    said: str
    calls: tuple[Call, ...]
    results: tuple[Result, ...] = ()
    ended: bool = False
    """Whether the answer is over, so that no further call comes."""

    @property
    def whole(self) -> bool:
        return self.ended and len(self.results) == len(self.calls)

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


class ChatMemory:
    """The tools of one agent in one call. ``state`` may be kept and put back at any time.

    turns, characters: how much of the conversation the model is told at most, the latest of it.
    """

    def __init__(self, *, turns: int, characters: int) -> None:
        self._turns, self._characters = turns, characters
        self.state = State()

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
        if state.continuing and last is not None and not last.ended:
            changed = replace(last, calls=(*last.calls, call))
            self.state = replace(state, exchanges=(*state.exchanges[:-1], changed))
            return
        made = Exchange(state.current, utterance, said, (call,))
        # As many as there are turns told of: what is older could have no place any more.
        self.state = replace(state, exchanges=(*state.exchanges, made)[-self._turns :], continuing=True)

    def end(self) -> None:
        """The answer that asked for tools is over."""
        if self.state.continuing and self.state.exchanges:
            last = replace(self.state.exchanges[-1], ended=True)
            self.state = replace(self.state, exchanges=(*self.state.exchanges[:-1], last))

    def result(self, result: Result) -> bool:
        """Keep what came of a call; the first result counts. False when no call is known by its id."""
        for at, exchange in enumerate(self.state.exchanges):
            if not any(c.id == result.id for c in exchange.calls):
                continue
            if all(r.id != result.id for r in exchange.results):
                changed = replace(exchange, results=(*exchange.results, _bounded(result)))
                exchanges = (*self.state.exchanges[:at], changed, *self.state.exchanges[at + 1 :])
                self.state = replace(self.state, exchanges=exchanges)
            return True
        return False

    def knows(self, call: str) -> bool:
        """Whether a call of this id was asked for."""
        return any(c.id == call for e in self.state.exchanges for c in e.calls)

    def answered(self, call: str) -> bool:
        """Whether what came of the call is known."""
        return any(r.id == call for e in self.state.exchanges for r in e.results)

    def adopt(self, other: ChatMemory, names: Callable[[str], bool]) -> None:
        """Go on with the turn that ``other`` works on, as far as its tools have the ``names`` that are known here."""
        current = other.state.current
        mine = tuple(e for e in self.state.exchanges if e.asked != current)
        theirs = tuple(
            e for e in other.state.exchanges if e.asked == current and all(names(c.name) for c in e.calls)
        )  # fmt: skip
        self.state = State((*mine, *theirs)[-self._turns :], current, bool(theirs))

    @property
    def waiting(self) -> bool:
        """Whether the answer that is being worked on waits for a result."""
        return self.state.continuing and not self.state.exchanges[-1].whole

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
        the newest calls, and not the caller's words."""
        current = self.state.current
        assert current is not None
        told, found = list(turns), False
        at = _occurrence(turns, current.key)
        if at is not None:
            found = True
            # What came after the turn that is answered belongs to the turns that are yet to be answered.
            told = told if results else told[: at + 1]
            told[at] = replace(told[at], text=current.text)
        start = self._start(told)
        entries = _Entries()
        if start:
            entries.caller(LEFT_OUT)
        last = self.state.exchanges[-1] if results and self.state.exchanges else None
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
            for exchange in self.state.exchanges:
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
        for exchange in self.state.exchanges:
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

    def _start(self, turns: Sequence[Turn]) -> int:
        """The first turn that is told of. It stays for a while and then moves by a quarter of the window."""
        step = max(1, self._turns // _QUARTERS)
        start = max(0, len(turns) - self._turns)
        characters = 0
        for index in range(len(turns) - 1, start - 1, -1):
            characters += len(turns[index].text)
            if characters > self._characters:
                start = index + 1
                break
        start = -(-start // step) * step
        return min(start, max(0, len(turns) - 1))


class _Entries:
    """Entries as they are put together: neighbours of one side become one."""

    def __init__(self) -> None:
        self._entries: list[Said] = []

    def caller(self, text: str) -> None:
        self.add(Said("user", text))

    def add(self, entry: Said) -> None:
        if not (entry.text or entry.calls or entry.results):
            return
        last = self._entries[-1] if self._entries else None
        if last is None and entry.role == "assistant":
            self._entries.append(Said("user", ON_THE_LINE))
        elif last is not None and last.role == entry.role:
            text = " ".join(t for t in (last.text, entry.text) if t)
            self._entries[-1] = Said(last.role, text, (*last.calls, *entry.calls), (*last.results, *entry.results))
            return
        self._entries.append(entry)

    def whole(self, asked: str, characters: int) -> list[Said]:
        """All of it. It ends with the caller's side, whatever was recorded."""
        if not self._entries or self._entries[-1].role != "user":
            self.add(Said("user", asked or NO_WORDS))
        last = self._entries[-1]
        if len(last.text) > characters:
            self._entries[-1] = replace(last, text=last.text[-characters:])
        return self._entries


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


def _bounded(result: Result) -> Result:
    if len(result.text) <= _LONGEST_RESULT:
        return result
    return replace(result, text=result.text[:_LONGEST_RESULT] + " … (cut: the rest is longer than what can be told)")
