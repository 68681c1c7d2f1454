"""Random calls on a playout against a model that knows only this: utterances follow one another, a cut ends them.

Whatever is pushed, suspended, resumed and cut, and whenever: what the far end has played is a prefix of the utterances
in the order asked, each whole, or up to the sample at which it was cut; at the end it is all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.core.audio import AudioFormat
from echostack.runtime.playout import Heard
from echostack.runtime.resample import Resampler
from echostack.simulation.loop import run_virtual
from tests.runtime.playing import RATE, Stage, numbered, stage

TARGET = AudioFormat(RATE)


@dataclass
class Spoken:
    """What the model knows of one utterance."""

    id: str
    interruptible: bool = True
    pieces: list[tuple[AudioFormat, bytes]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    cut_at: int | None = None

    @property
    def pcm(self) -> bytes:
        whole = b""
        for format, pieces in groupby(self.pieces, key=lambda piece: piece[0]):
            resampler = Resampler(format, TARGET)
            whole += resampler.push(b"".join(pcm for _, pcm in pieces)) + resampler.flush()
        return whole if self.cut_at is None else whole[: 2 * self.cut_at]


@dataclass
class Model:
    spoken: list[Spoken] = field(default_factory=list)
    open: dict[str, Spoken] = field(default_factory=dict)
    suspended_at: int | None = None
    counter: int = 0

    @property
    def expected(self) -> bytes:
        return b"".join(s.pcm for s in self.spoken)

    def push(self, s: Stage, op: tuple[str, int, int, bool, bool, int, bool]) -> None:
        _, who, samples, final, interruptible, rate, stale = op
        id, format = f"u{who}", AudioFormat(rate)
        pcm = numbered(self.counter, samples)
        text = f"w{self.counter}" if samples else ""
        self.counter += samples
        known = self.open.get(id)
        taken = s.say(
            id, pcm, text, final=final, interruptible=interruptible, format=format, epoch=s.epoch - 1 if stale else None
        )
        assert taken == (not stale or (known is not None and not known.interruptible))
        if not taken:
            return
        if known is None:
            known = self.open[id] = Spoken(id)
            self.spoken.append(known)
        # A piece without audio ends no stream of samples, whatever format it names.
        known.pieces += [(format, pcm)] if samples else []
        known.texts += [text] if text else []
        known.interruptible = known.interruptible and interruptible
        if final:
            del self.open[id]

    def cut(self, heard: int) -> None:
        place = 0
        kept = []
        for spoken in self.spoken:
            size = len(spoken.pcm) // 2
            played = min(max(0, heard - place), size)
            place += size
            # One that is over by now is not cut; one still open may be, at its last sample so far.
            over = played == size and self.open.get(spoken.id) is not spoken
            if spoken.interruptible and spoken.cut_at is None and not over:
                spoken.cut_at = played
                if self.open.get(spoken.id) is spoken:
                    del self.open[spoken.id]
                if played:
                    kept.append(spoken)
            else:
                kept.append(spoken)
        self.spoken = kept

    def limit(self) -> int:
        """How far may be played while suspended: up to the first sample that can be interrupted."""
        assert self.suspended_at is not None
        place = 0
        for spoken in self.spoken:
            end = place + len(spoken.pcm) // 2
            silent = end == place and self.open.get(spoken.id) is not spoken  # over before it was suspended, perhaps
            if spoken.interruptible and end > self.suspended_at and not silent:
                return max(place, self.suspended_at)
            place = end
        return max(place, self.suspended_at)


_push = st.tuples(
    st.just("push"),
    st.integers(0, 3),
    st.sampled_from([0, 1, 37, 320, 700, 1999]),
    st.booleans(),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([RATE, RATE, 8000, 24_000]),
    st.sampled_from([False, False, False, True]),
)
_advance = st.tuples(st.just("advance"), st.sampled_from([0, 1, 160, 320, 333, 1600, 4000]))
_others = st.sampled_from([("suspend",), ("resume",), ("cut",)])
_AHEADS = [(0.02, 0.02), (0.05, 0.02), (0.1, 0.02), (0.23, 0.02), (0.09, 0.5), (0.23, 0.1), (0.5, 0.5), (2.0, 1.0)]
"""Seconds of lead and of stride."""
_ops = st.lists(st.one_of(_push, _push, _advance, _advance, _others), min_size=6, max_size=40)


@settings(max_examples=400)
@given(ops=_ops, reports=st.booleans(), aheads=st.sampled_from(_AHEADS), told=st.booleans())
def test_what_is_heard_is_what_was_said_minus_what_was_cut(
    ops: list[tuple[object, ...]], reports: bool, aheads: tuple[float, float], told: bool
) -> None:
    run_virtual(_check(ops, reports, *aheads, told))


async def _check(ops: list[tuple[object, ...]], reports: bool, lead: float, stride: float, told: bool) -> None:
    model = Model()
    async with stage(lead=lead, stride=stride, reports=reports, patience=1e6, max_ahead=0.2) as s:
        if not told:
            s.playout.show_played(None)
        s.epoch = 1
        for op in ops:
            match op[0]:
                case "push":
                    model.push(s, op)  # type: ignore[arg-type]
                case "advance":
                    await s.clock.sleep(op[1] / RATE)  # type: ignore[operator]
                case "suspend":
                    s.playout.suspend()
                    if model.suspended_at is None:
                        model.suspended_at = s.sink.heard_samples
                case "resume":
                    s.playout.resume()
                    model.suspended_at = None
                case "cut":
                    s.epoch += 1
                    s.playout.cut()
                    model.cut(s.sink.heard_samples)
                    model.suspended_at = None
            assert model.expected.startswith(s.sink.heard)
            assert bytes(s.played) == s.sink.heard[: len(s.played)]
            assert told or not s.played
            assert s.sink.most_ahead <= max(TARGET.samples_in(lead), 320)
            if model.suspended_at is not None:
                assert s.sink.heard_samples <= model.limit()
        for id in list(model.open):
            s.playout.end(id)
        s.playout.resume()
        left = len(model.expected) // 2 - s.sink.heard_samples
        start = s.clock.now()
        await s.playout.drained()
        if not reports:
            assert s.clock.now() - start == pytest.approx(left / RATE, abs=1 / RATE)
        assert s.sink.heard == model.expected
        assert not told or s.sink.heard == bytes(s.played)
        assert s.playout.buffered == 0
        assert (s.playout._chunks, s.playout._protected, s.playout._open) == (0, 0, {})
        _check_reports(model, s.finished)
        longest = max(320, min(TARGET.samples_in(stride), TARGET.samples_in(lead) // 2))
        for samples in [n for _, n in s.sink.writes]:
            assert 0 < samples <= longest


def _check_reports(model: Model, reports: list[Heard]) -> None:
    # One without audio is told of only if nothing cut it while it waited its turn.
    told = [h for h in reports if h.seconds]
    spoken = [u for u in model.spoken if u.pcm]
    assert [(h.utterance, round(h.seconds * RATE), h.cut) for h in told] == [
        (u.id, len(u.pcm) // 2, u.cut_at is not None) for u in spoken
    ]
    for u, heard in zip(spoken, told, strict=True):
        said = heard.text.split()
        assert said == u.texts[: len(said)]
        if u.cut_at is None:
            assert said == u.texts
