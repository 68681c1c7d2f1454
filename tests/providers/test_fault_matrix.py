"""Every fault of the menu at every server of the manifest's chain, in whole calls: what must come of it, exactly.

The calls run in this process, some at a time, each with servers and a caller of its own, before the first test looks at
what came of its call. A fault strikes the first exchange of the agent, and no later one.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from echostack import api
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure, EchoStackError
from echostack.providers.brain import Script
from echostack.providers.caller import Caller
from echostack.providers.deepgram.ears import Lines
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.local import Local
from tests.providers.calls import LIVE, MANIFEST, SAID, Tone, answer, voice

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

QUESTION, REPLY = "Where are you?", SAID["where"]
AT_ONCE = 5
"""Calls at a time: more would be late for lack of a processor."""
QUICK = {"ingress.livekit.rejoin": 0, "ingress.livekit.connect_timeout": 1.0}
IMPATIENT = {
    "deepgram.stt.stall_s": 1.0,
    "claude.agent.first_seconds": 1.5,
    "claude.agent.next_seconds": 0.7,
    "elevenlabs.tts.connect_s": 1.0,
    "elevenlabs.tts.first_audio_s": 1.0,
    "elevenlabs.tts.gap_s": 0.3,
    "ingress.livekit.connect_timeout": 0.5,
}
"""For what only time tells; elsewhere the settings' own patience, so that a busy machine is not taken for a fault."""
SLOW, HINT = 0.1, 1.0  # seconds that an answer of the slow is late, and after which a refused client may come again
UNHEARD = 2.0  # seconds in which nothing comes of a turn that is not to be answered


@dataclass(frozen=True)
class Must:
    """What must come of one call of two questions.

    answered: which of them, each within ``within`` seconds of its end: an ordinary turn takes one, the costliest fault
    two by the settings above, and the rest is for a machine that is busy. errors: every error event with what its
    message begins with; each is of the server's node. ends: the one message by which the call does not even begin.
    exchanges: how many the server had of the agent. endless: the first answer has no end, and is interrupted.
    """

    answered: tuple[bool, bool] = (True, True)
    errors: tuple[tuple[str, str], ...] = ()
    ends: str = ""
    exchanges: int = 0
    within: float = 5.0
    endless: bool = False


def retried(message: str) -> Must:
    """The question is put to the model again, and answered."""
    return Must(errors=(("error.claude.retried", f"claude.agent: {message}"),), exchanges=3)


K = FaultKind
_DEEPGRAM_KEY = (
    "deepgram.stt: Deepgram does not take the key (401: Invalid credentials): put a valid one into DEEPGRAM_API_KEY or "
    "api_key"
)
_CLAUDE_KEY = (
    "claude.agent: http://HERE does not take the key: set ANTHROPIC_API_KEY, or api_key, to one that is valid (401: "
    "invalid x-api-key)"
)
_ELEVENLABS_KEY = (
    "elevenlabs.tts: the key is not taken: http://HERE answered 401 invalid_api_key (Invalid API key): set "
    "ELEVENLABS_API_KEY to a valid key"
)
_LIVEKIT_KEY = (
    "ingress.livekit: HERE refuses the access token (401): check api_key and api_secret, and that this machine's clock "
    "is right (engine: signal failure: client error: 401 Unauthorized - invalid API key)"
)
_LIVEKIT_NOT_THERE = (
    "ingress.livekit cannot join the LiveKit room at HERE: no connection stood after {seconds} s; see that UDP, or "
    "TURN over TLS, gets to the server"
)
_UNTOUCHED = {kind: Must(exchanges=1) for kind in (K.SLOW, K.MALFORMED, K.DUPLICATE, K.ENDLESS)}
_ANEW = Must(exchanges=2)
"""Another connection takes the place of the first, and nobody notices."""

MUST: dict[str, dict[FaultKind, Must]] = {
    "deepgram": {
        **_UNTOUCHED,
        **dict.fromkeys((K.CUT, K.RATE_LIMITED, K.UNAVAILABLE, K.HALF_OPEN), _ANEW),
        K.UNAUTHORISED: Must((False, False), (("error.deepgram.exception", _DEEPGRAM_KEY),), exchanges=1),
    },
    "anthropic": {
        K.SLOW: Must(exchanges=2),
        K.CUT: retried("the answer of http://HERE broke off: RemoteProtocolError"),
        K.MALFORMED: retried("http://HERE sent what is no answer of its API: Expecting value"),
        K.RATE_LIMITED: retried("the account's rate at http://HERE is used up (429: This request would exceed"),
        K.UNAVAILABLE: retried("http://HERE is overloaded (529: Overloaded)"),
        K.HALF_OPEN: retried("the model did not begin its answer within 1.5 s"),
        K.DUPLICATE: retried("http://HERE sent what is no answer of its API: the answer began twice"),
        K.ENDLESS: Must(exchanges=2, endless=True),
        K.UNAUTHORISED: Must(
            (False, True),
            (("error.claude.exception", _CLAUDE_KEY), ("error.claude.dead_letter", _CLAUDE_KEY)),
            exchanges=2,
        ),
    },
    "elevenlabs": {
        K.SLOW: Must(exchanges=1),
        K.DUPLICATE: Must(exchanges=1),
        # Of what is refused, and of an answer that does not end, there is another connection.
        **dict.fromkeys((K.CUT, K.MALFORMED, K.HALF_OPEN, K.ENDLESS, K.RATE_LIMITED, K.UNAVAILABLE), _ANEW),
        K.UNAUTHORISED: Must(ends=_ELEVENLABS_KEY),
    },
    "livekit": {
        **_UNTOUCHED,
        # The SDK itself comes again.
        **dict.fromkeys((K.RATE_LIMITED, K.UNAVAILABLE), Must(exchanges=1)),
        K.CUT: Must(ends=_LIVEKIT_NOT_THERE.format(seconds=2)),
        K.HALF_OPEN: Must(ends=_LIVEKIT_NOT_THERE.format(seconds=1)),
        K.UNAUTHORISED: Must(ends=_LIVEKIT_KEY),
    },
}
CASES = [(name, kind) for name, kinds in MUST.items() for kind in kinds]


@dataclass
class Came:
    """What came of one call. heard: how long after each question an answer began; None where none did."""

    heard: list[float | None] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    late: tuple[str, ...] = ()
    ended: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    left_open: dict[str, int] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    broke: BaseException | None = None


def masked(text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", "HERE", text)


async def asking(caller: Caller, must: Must, heard: list[float | None]) -> None:
    """Asks twice. An answer that has no end is interrupted by the second question."""
    try:
        await caller.until_met(deadline=15.0)
        await asyncio.sleep(0.2)
        for answered in must.answered:
            asked = asyncio.get_running_loop().time()
            words, rate = voice(QUESTION)
            await caller.say(words, rate)
            asked = asyncio.get_running_loop().time()
            try:
                await caller.until_heard(0.2, deadline=must.within if answered else UNHEARD)
            except TimeoutError:
                heard.append(None)
                continue
            heard.append(asyncio.get_running_loop().time() - asked)
            try:
                await caller.until_quiet(1.0, deadline=3.0 if must.endless else 15.0)
            except TimeoutError:
                if not must.endless:
                    raise
    except ConnectorFailure:
        return  # the servers are gone, because the call never began
    finally:
        await caller.leave()


async def one(name: str, kind: FaultKind) -> Came:
    """One call with one fault."""
    must, came = MUST[name][kind], Came()
    options = {
        "deepgram": {"recognise": Lines([QUESTION], apart=1.0)},
        "elevenlabs": {"voice": Tone(0.02), "pace": 2.0},
    }
    async with Local(LIVE, brain=Script(answer, pause=0.03), options=options) as servers:
        where = servers.environment
        key = (where["LIVEKIT_API_KEY"], where["LIVEKIT_API_SECRET"])
        caller = Caller(where["LIVEKIT_URL"], key, where["LIVEKIT_ROOM"], "caller", LoopClock())
        await caller.join()
        servers.servers[name].faults.add(Fault(kind, seconds=SLOW if kind is K.SLOW else HINT, after=1))
        settings = {**QUICK, **(IMPATIENT if kind is K.HALF_OPEN else {})}
        session = api.compile(MANIFEST, env=where, settings=settings).session()
        events = session.events()
        asks = asyncio.create_task(asking(caller, must, came.heard))
        try:
            async with asyncio.timeout(45), session:
                await session.finished()
                found = [e async for e in events if e.name.startswith("error.")]
            came.errors = [(e.name, e.payload.node, masked(e.payload.message)) for e in found]
            came.said = [(turn.role, turn.text) for turn in session.conversation]
            came.late = session.stats().late
            await asks
        except EchoStackError as error:
            came.ended = masked(str(error))
        finally:
            asks.cancel()
            await asyncio.wait([asks])
            await caller.leave()
        vendors = {n: s for n, s in servers.servers.items() if n != "livekit"}
        for _ in range(250):  # an end that has been sent takes a moment to be seen at the other side
            if any(s.open for s in vendors.values()):
                await asyncio.sleep(0.02)
        came.left_open = {n: s.open for n, s in vendors.items() if s.open}
        came.counts = dict(servers.servers[name].seen.counts)
    return came


async def all_of(cases: list[tuple[str, FaultKind]]) -> dict[tuple[str, FaultKind], Came]:
    gate, found = asyncio.Semaphore(AT_ONCE), {}
    unseen: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, about: unseen.append(str(about)))

    async def run(case: tuple[str, FaultKind]) -> None:
        async with gate:
            try:
                found[case] = await one(*case)
            except Exception as error:  # noqa: BLE001 - the case's own test raises it
                found[case] = Came(broke=error)

    # The longest first, so that none is left alone at the end.
    async with asyncio.TaskGroup() as group:
        for case in sorted(cases, key=lambda c: all(MUST[c[0]][c[1]].answered)):
            group.create_task(run(case))
    for came in found.values():
        came.unseen = unseen
    return found


@pytest.fixture(scope="module")
def calls(request: pytest.FixtureRequest) -> dict[tuple[str, FaultKind], Came]:
    """What came of the calls that this run asks about."""
    voice(QUESTION)
    here = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    asked = [item.callspec.params["case"] for item in here]
    return asyncio.run(all_of(asked))


def test_every_fault_of_the_menu_is_asked_of_every_server() -> None:
    assert {name: set(kinds) for name, kinds in MUST.items()} == {name: set(FaultKind) for name in LIVE}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_what_comes_of_a_fault(calls: dict[tuple[str, FaultKind], Came], case: tuple[str, FaultKind]) -> None:
    (name, kind), came = case, calls[case]
    must = MUST[name][kind]
    if came.broke is not None:
        raise came.broke
    assert came.unseen == []
    assert came.ended == must.ends
    assert came.late == ()
    assert came.left_open == {}
    if must.ends:
        return
    nodes = {"deepgram": "deepgram.stt", "anthropic": "claude.agent", "elevenlabs": "elevenlabs.tts"}
    assert [(what, who) for what, who, _ in came.errors] == [(what, nodes[name]) for what, _ in must.errors]
    for (_, _, said), (_, begins) in zip(came.errors, must.errors, strict=True):
        assert said.startswith(begins)
    assert [at is not None for at in came.heard] == list(must.answered)
    spoken = [[("caller", QUESTION), *([("agent", REPLY)] if answered else [])] for answered in must.answered]
    if must.endless:
        (_, first), (_, second) = came.said[0], came.said[1]
        assert first == QUESTION
        assert second.startswith(REPLY)
        assert came.said[2:] == spoken[1]
        assert came.counts["cancelled"] == 1, "the answer that has no end was given up"
    elif any(must.answered):
        assert came.said == [turn for turns in spoken for turn in turns]
    else:
        assert came.said == []
    tried = came.counts.get("opened", 0) + (came.counts.get("refused", 0) if name == "elevenlabs" else 0)
    assert tried - (name == "livekit") == must.exchanges
