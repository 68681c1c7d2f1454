"""A scenario with everything in it, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.language.strategies import conditions, quoted, words

PIPELINE = "pipeline:\n  - ingress.file.audio_frame -> moonshine.stt\n"

FULL = """\
echostack: 1
graph: front_desk.echo
tests:
  - name: the caller interrupts the opening hours
    about: |
      Interruptions cut what is said.
    seed: 7  # any
    lasts: 60s
    env: {API_KEY: x}
    settings: {faq.agent: {greeting: Hello}, speak/piper.tts: {}}
    caller:
      ingress: file
      pace: 3
      frame: 10ms
      continuous: true
      patience: 5s
      steps:
        - say: Hello, what are your opening hours?
        - {say: hi, at: 3.5s, lasts: 1.2s, heard_as: ho, confidence: 0.4, audio: x.wav}
        - {interrupt: "Sorry, how much is lunch?", after: 1.2s, within: 20s, lasts: 2s}
        - {backchannel: mhm, after: 1s}
        - pause: 1s
        - {listen: 0.8s, within: 10s}
        - {wait: control.*.playout_finished, within: 10s}
        - wait: {event: processing.*.text, where: '"lunch" in text'}
        - {wait: processing.*.text, where: confidence < 0.5}
        - {noise: 300ms, level: quiet, at: 5s, background: true}
        - silence: 5s
        - {keys: "12#", at: 6s}
        - {send: data, fields: {name: form, data: {a: [1, x]}}, from: ingress.app, at: 7s}
        - {hang_up: true, at: 40s}
        - hang up
    connectors:
      claude.agent:
        replies:
          - {to: opening * hours, say: We are open from noon.}
          - {where: confidence < 0.5, say: Pardon?, times: 2}
          - {give: [{tool_call: {name: book}, after: 100ms}, {text: }], delay: 10ms, times: always}
          - give: {text.partial: {text: a}, port: other}
          - {nothing: true, to: hm}
          - nothing
          - Hello.
        delay: {p50: 300ms, p95: 900ms}
        faults:
          - {error: connection reset, nth: 2, times: 3, retryable: false, retry_after: 2s}
          - {slow: 3s, at: 5s, until: 9s}
          - {disconnect: true, at: 4s}
          - duplicate
          - {reorder: true, nth: 1}
          - {drop: true, times: always}
          - endless
          - open: no route
      sales: {answers: my_function, delay: 400ms}
      speak/piper.tts: {real: true}
    expect:
      - processing.*.text
      - event: processing.*.text
        where: '"lunch" in text'
        times: 1..2
        after: control.*.playout_started
        within: 2s
        later: 1s
        before: {event: processing.*.text.partial, where: confidence > 0.5}
      - {event: processing.*.text, at: 5.5s, times: 2}
      - {never: control.barge_in.committed, where: cause == "words", after: a.b.c, within: 3s}
      - order: [a.b.c, {event: a.b.d, where: x == 1}]
      - heard: We are open from noon.
      - heard: {nth: 2, text: a, contains: b, lacks: c, seconds: 1.5s, starts: 1s, stops: 2s}
      - conversation: [{caller: a}, {agent: b, cut: true}]
      - {conversation: [{agent: b, cut: false}], among: true}
      - {written: crm.write, where: name == "x", times: 2..}
      - {takes: voice_to_voice, p50: 800ms, p90: 900ms, p95: 1.2s, p99: 1.5s, max: 2s}
      - drops: 0
      - {drops: ..5, edge: moonshine}
      - {ends: hung up, by: 20s, late: [piper.tts]}
      - ends: true
"""

_times = st.sampled_from(["1", "0", "2..", "..3", "0..3"])
_duration = st.sampled_from(["1s", "250ms", "0.5", "2", "1.5s"])
_say = words.filter(bool).map(quoted)
_heard = words.filter(lambda said: any(c.isalnum() for c in said)).map(quoted)
_where = conditions.map(quoted)
_event = st.one_of(
    st.sampled_from(["processing.*.text", "control.*.playout_started", "a.b.c.d"]),
    _where.map(lambda w: f"{{where: {w}, event: processing.*.text}}"),
)


def _mapping(*required: st.SearchStrategy[str], **others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A flow mapping of the required entries and some of the others, in any order."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> str:
        entries = [draw(r) for r in required]
        entries += [f"{key}: {draw(value)}" for key, value in others.items() if draw(st.booleans())]
        return "{" + ", ".join(draw(st.permutations(entries))) + "}"

    return draw_one()


def _key(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return value.map(lambda v: f"{name}: {v}")


steps = st.one_of(
    st.just("hang up"),
    _mapping(_key("say", _say), lasts=_duration, heard_as=_say, confidence=st.sampled_from(["0", "0.5", "1"])),
    _mapping(_key("interrupt", _say), after=_duration, within=_duration),
    _mapping(_key("backchannel", _say), after=_duration),
    _mapping(_key("pause", _duration)),
    _mapping(_key("listen", _duration), within=_duration),
    _mapping(_key("wait", _event), within=_duration),
    _mapping(_key("noise", _duration), level=st.sampled_from(["quiet", "loud"]), background=st.just("true")),
    _mapping(_key("silence", _duration)),
    _mapping(_key("keys", st.sampled_from(['"12#"', "'0'", "A*"]))),
    _mapping(_key("send", st.sampled_from(["data", "text.partial"])), fields=st.just("{a: [1, {b: null}]}")),
)
_outputs = st.sampled_from(["{text: {text: x}}", "[{tool_call: {name: b}, after: 1s}, {data: null, port: p}]", "[]"])
replies = st.one_of(
    _say,
    st.just("nothing"),
    _mapping(_key("say", _say), to=_say, where=_where, delay=_duration, times=st.sampled_from(["2", "always"])),
    _mapping(_key("give", _outputs), to=_say),
    _mapping(st.just("nothing: true"), where=_where),
)
faults = st.one_of(
    st.sampled_from(["error", "open", "drop", "endless"]),
    _mapping(_key("error", st.sampled_from(["true", '"no"'])), nth=st.just("3"), retryable=st.just("false")),
    _mapping(_key("slow", _duration), at=_duration, times=st.sampled_from(["2", "always"])),
    _mapping(_key("duplicate", st.just("true")), until=st.just("9s")),
)
expectations = st.one_of(
    st.just("processing.*.text"),
    _mapping(_key("event", st.just("a.b.c")), where=_where, times=_times, within=_duration, after=_event),
    _mapping(_key("never", st.just("a.b.c")), where=_where, after=_event),
    _mapping(_key("order", st.lists(_event, min_size=1, max_size=3).map(lambda e: f"[{', '.join(e)}]"))),
    _mapping(_key("heard", st.one_of(_say, _mapping(_key("contains", _heard), nth=st.just("1"), seconds=_duration)))),
    _mapping(st.just("conversation: [{caller: a}, {cut: true, agent: b}]"), among=st.just("true")),
    _mapping(st.just("written: a.b"), where=_where, times=_times),
    _mapping(st.just("takes: voice_to_voice"), _key("p95", _duration), max=_duration),
    _mapping(_key("drops", _times), edge=_say),
    _mapping(_key("ends", st.sampled_from(["true", '"hung up"'])), by=_duration, late=st.just("[a.b]")),
)


@st.composite
def scenarios(draw: st.DrawFn) -> str:
    """A ``tests:`` section that reads without errors, keys in any order, comments between them."""

    def listed(name: str, what: st.SearchStrategy[str], indent: int) -> str:
        blank = " " * indent
        items = [f"{blank}  - {draw(what)}{aside()}\n" for _ in range(draw(st.integers(1, 3)))]
        return f"{blank}{name}:{aside()}\n" + "".join(items)

    def aside() -> str:
        return draw(st.sampled_from(["", "", "  # why"]))

    text = f"tests:{aside()}\n"
    for number in range(draw(st.integers(1, 2))):
        keys = [f"      name: call {number}{aside()}\n"]
        if draw(st.booleans()):
            keys.append("      # the seed\n      seed: 7\n")
        if draw(st.booleans()):
            keys.append("      env: {A_B: x}\n      settings: {a.b: {k: [1]}}\n")
        if draw(st.booleans()):
            keys.append(listed("caller", steps, 6))
        else:
            keys.append("      caller:\n        pace: 3\n" + listed("steps", steps, 8))
        if draw(st.booleans()):
            node = listed("replies", replies, 10) + listed("faults", faults, 10) + "          delay: 1s\n"
            keys.append(f"      connectors:\n        i/a.b:\n{node}")
        if draw(st.booleans()):
            keys.append(listed("expect", expectations, 6))
        text += "    -\n" + "".join(draw(st.permutations(keys)))
    return text
