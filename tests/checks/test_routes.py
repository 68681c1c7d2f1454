"""Which routes a graph has, and what each carries."""

from __future__ import annotations

from echostack.checks import ENGINE, CheckedGraph
from echostack.core.audio import AudioFormat
from echostack.core.payloads import ExceptionFailure, PlayoutFinished, Text
from echostack.language.guard import Else
from echostack.registry import ConnectorSettings, Registry, connector
from tests.checks.helpers import checked, sound, told
from tests.checks.vendors import registry

MANIFEST = """
pipeline:
  - ingress.livekit.audio_frame → deepgram.stt
  - deepgram.stt → claude.agent
  - claude.agent → elevenlabs.tts
  - elevenlabs.tts → egress.livekit.audio_chunk
"""
CALL = "- ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk"


class OddSettings(ConnectorSettings):
    key: str = ""


def fails(settings: OddSettings) -> tuple[str, ...]:
    raise RuntimeError(f"no ports for {settings.key}")


@connector("odd.router", ports=fails)
class OddRouter:
    """Has ports that cannot be told."""

    def __init__(self, settings: OddSettings) -> None: ...

    def __call__(self, text: Text) -> Text:
        return text


def carried(graph: CheckedGraph, *, of: str = "") -> list[str]:
    return [f"{e.id}: {' '.join(p.__kind__.name for p in e.payloads)}" for e in graph.edges if of in e.id]


def test_the_four_rule_manifest_carries_one_kind_an_edge_and_can_be_interrupted() -> None:
    graph = sound(MANIFEST)
    assert carried(graph) == [
        "ingress.livekit -> deepgram.stt: audio_frame",
        "deepgram.stt -> claude.agent: text",
        "claude.agent -> elevenlabs.tts: agent_message.partial",
        "elevenlabs.tts -> egress.livekit: audio_chunk.stream",
        "ingress.livekit -> webrtc.vad: audio_frame",
    ]
    assert graph.barge_in_on == "processing.webrtc.speech_started"


def test_checking_twice_gives_the_same() -> None:
    one, other = sound(MANIFEST), sound(MANIFEST)
    assert (list(one.nodes), one.edges, one.scopes) == (list(other.nodes), other.edges, other.scopes)


def test_of_alternatives_an_edge_carries_the_first_that_its_source_makes() -> None:
    graph = sound(f"pipeline:\n  {CALL}\n  - deepgram.stt -[ confidence < 0.5 ]-> reprompt.say -> elevenlabs.tts")
    assert carried(graph, of="elevenlabs.tts")[:2] == [
        "claude.agent -> elevenlabs.tts: agent_message.partial",
        "elevenlabs.tts -> egress.livekit: audio_chunk.stream",
    ]
    assert "reprompt.say -> elevenlabs.tts: agent_message" in carried(graph)


def test_what_a_node_forwards_is_only_what_reaches_it() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - deepgram.stt -> intent.router
          - intent.router:book_meeting -> keys.log
          - intent.router:other -> knowledge.search -> claude.agent
        """
    )
    assert carried(graph, of="intent.router") == [
        "deepgram.stt -> intent.router: text",
        "intent.router:book_meeting -> keys.log: text",
        "intent.router:other -> knowledge.search: text",
    ]


def test_forwarded_kinds_go_through_several_nodes() -> None:
    graph = sound(
        f"""
        connectors:
          second: {{use: intent.router}}
        pipeline:
          {CALL}
          - deepgram.stt -> intent.router
          - intent.router:other -> second
          - intent.router:book_meeting -> keys.log
          - second:other -> sentiment.score
          - second:book_meeting -> keys.log
        """
    )
    assert "second:other -> sentiment.score: text" in carried(graph)


def test_a_pattern_matches_what_is_made_and_never_what_is_forwarded() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - ingress.sms.text -> intent.router
          - intent.router -> keys.log
          - processing.*.text -> sentiment.score
        """
    )
    assert [(e.source, e.pattern) for e in graph.edges if e.target == "sentiment.score"] == [
        ("deepgram.stt", "processing.*.text"),
        ("ingress.sms", "processing.*.text"),
    ]


def test_a_pattern_of_three_parts_sees_no_pieces() -> None:
    graph = sound(f"pipeline:\n  {CALL}\n  - processing.deepgram.* -> transcript.log")
    assert carried(graph, of="transcript.log") == ["deepgram.stt -> transcript.log: text"]
    graph = sound(f"pipeline:\n  {CALL}\n  - processing.*.text.* -> transcript.log")
    assert carried(graph, of="transcript.log") == ["deepgram.stt -> transcript.log: text.partial"]


def test_control_and_error_events_come_from_the_engine() -> None:
    @connector("watch.log")
    def watch(event: PlayoutFinished | ExceptionFailure) -> None:
        """Sees what goes on."""

    graph = sound(
        f"""
        pipeline:
          {CALL}
          - control.livekit.playout_finished -> watch.log
          - error.claude.* -> watch.log
          - error.deepgram.exception -> watch.log
        """,
        known=registry().add(watch),
    )
    assert [(e.source, e.pattern, e.payloads) for e in graph.edges if e.target == "watch.log"] == [
        (ENGINE, "control.livekit.playout_finished", (PlayoutFinished,)),
        (ENGINE, "error.claude.*", (ExceptionFailure,)),
        (ENGINE, "error.deepgram.exception", (ExceptionFailure,)),
    ]


def test_arrows_to_and_from_a_member_belong_to_its_choice() -> None:
    graph, findings = checked(
        """
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt
          - deepgram.stt ?? whisper.stt -> sentiment.score
          - processing.whisper.text -> knowledge.search
          - whisper.stt -> keys.log
        """
    )
    assert told(findings) == ""
    assert graph is not None
    assert carried(graph) == [
        "ingress.livekit -> deepgram.stt ?? whisper.stt: audio_frame",
        "deepgram.stt ?? whisper.stt -> sentiment.score: text",
        "deepgram.stt ?? whisper.stt -> knowledge.search: text",
        "deepgram.stt ?? whisper.stt -> keys.log: text",
    ]
    choice = graph.nodes["deepgram.stt ?? whisper.stt"]
    assert (choice.spec, choice.members) == (None, ("deepgram.stt", "whisper.stt"))
    assert graph.nodes["whisper.stt"].spec is not None


def test_each_member_of_a_choice_gives_its_own_alternative() -> None:
    graph = sound(
        """
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> reprompt.say
          - reprompt.say -> piper.tts ?? elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert carried(graph, of="egress") == [
        "piper.tts ?? elevenlabs.tts -> egress.livekit: audio_chunk.stream audio_chunk"
    ]


def test_a_guard_lets_pass_only_the_kinds_that_have_its_fields() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - deepgram.stt -> intent.router -[ slots != null ]-> claude.agent
          - intent.router -[ else ]-> keys.log
        """
    )
    assert carried(graph, of="intent.router ->") == [
        "intent.router -> claude.agent: intent",
        "intent.router -> keys.log: text",
    ]
    assert isinstance(next(e for e in graph.edges if e.target == "keys.log").guard, Else)


def test_guards_that_are_right_are_silent() -> None:
    for guard in (
        "confidence >= 0.4 and language == 'en'",
        "'refund' in text",
        "language not in ('en', 'de') or not (confidence < 1)",
        "text == language",
        "'words' in text and words != null",
        "ended_by < 'z'",
    ):
        sound(f'pipeline:\n  {CALL}\n  - "deepgram.stt -[ {guard} ]-> sentiment.score"')


def test_else_beside_a_guard_on_the_same_port_is_a_pair() -> None:
    sound(
        f"""
        pipeline:
          {CALL}
          - deepgram.stt -> intent.router
          - intent.router:other -[ 'pay' in text ]-> keys.log
          - intent.router:other -[ else ]-> sentiment.score
          - intent.router:book_meeting -> knowledge.search -> claude.agent
        """
    )


def test_a_written_arrow_and_a_pattern_deliver_once() -> None:
    graph, findings = checked(
        f"""
        pipeline:
          {CALL}
          - processing.*.text -> transcript.log
          - deepgram.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "4:5-35 W0508 transcript.log would get text from deepgram.stt twice",
        "  at 3:5-40: it comes this way already",
        "  help: the second is left out; remove one of the two rules",
    ]
    assert graph is not None
    assert carried(graph, of="transcript.log") == [
        "deepgram.stt -> transcript.log: text",
        "deepgram.stt -> transcript.log #2: text.partial",
    ]


def test_a_guarded_arrow_beside_a_plain_one_is_told_and_kept() -> None:
    graph, findings = checked(f"pipeline:\n  {CALL}\n  - deepgram.stt -[ confidence > 0.5 ]-> claude.agent")
    assert told(findings).split("\n") == [
        "3:5-54 W0508 claude.agent gets text from deepgram.stt twice where this guard holds",
        "  at 2:36-64: it comes this way already",
        "  help: guard the other rule as well, for instance with `else`",
    ]
    assert graph is not None
    assert len(carried(graph, of="deepgram.stt -> claude.agent")) == 2


def test_two_guards_on_two_arrows_are_no_duplicates() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - deepgram.stt -[ language == 'en' ]-> sentiment.score
          - deepgram.stt -[ language == 'de' ]-> sentiment.score
        """
    )
    assert len(carried(graph, of="sentiment.score")) == 2


def test_audio_is_converted_where_the_ends_differ_or_one_is_not_known_yet() -> None:
    graph = sound(
        """
        connectors: {deepgram.stt: {rate: 48000}}
        pipeline:
          - ingress.livekit.audio_frame -> (deepgram.stt, whisper.stt)
          - ingress.file.audio_frame -> deepgram.stt
          - (deepgram.stt, whisper.stt) -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert {e.id: e.resample for e in graph.edges if e.resample is not None} == {
        "ingress.livekit -> whisper.stt": AudioFormat(16_000),
        "ingress.file -> deepgram.stt": AudioFormat(48_000),
        "ingress.livekit -> webrtc.vad": AudioFormat(16_000),
        "ingress.file -> webrtc.vad": AudioFormat(16_000),
    }


def test_a_cycle_on_purpose_with_a_queue_that_drops_is_sound() -> None:
    graph = sound(
        f"""
        pipeline:
          {CALL}
          - deepgram.stt -> echo.text -> again -> sentiment.score
          - again -> echo.text: {{cycle: true, queue: 8, overflow: drop_oldest}}
        connectors:
          again: {{use: echo.text}}
        """
    )
    assert [e.id for e in graph.edges if e.cycle] == ["again -> echo.text"]


def test_a_fragment_with_an_interface_lacks_nothing() -> None:
    sound(
        """
        interface: {in: {words: intent.router}, out: {yes: "intent.router:book_meeting", said: elevenlabs.tts}}
        pipeline:
          - intent.router:other -> claude.agent -> elevenlabs.tts
        """
    )


def test_a_connector_that_does_not_load_is_a_finding() -> None:
    def torn() -> object:
        raise ImportError("no module named 'acme_sdk'")

    known = Registry({"acme.stt": torn})
    for spec in registry():
        known.add(spec)
    _, findings = checked("pipeline:\n  - ingress.livekit.audio_frame -> acme.stt -> keys.log", known=known)
    assert told(findings).split("\n") == [
        "2:36-44 E0402 the connector 'acme.stt' cannot be loaded: no module named 'acme_sdk'",
        "  help: mend or reinstall the package that provides it",
    ]


def test_code_of_a_connector_that_raises_is_a_finding_and_shows_no_secret() -> None:
    _, findings = checked(
        f"""
        connectors: {{odd.router: {{key: {{env: KEY}}}}}}
        pipeline:
          {CALL}
          - deepgram.stt -> odd.router -> keys.log
        """,
        known=registry().add(OddRouter),
        env={"KEY": "s3cret"},
    )
    assert told(findings).split("\n") == [
        "1:14-24 E0410 odd.router cannot tell its ports from its settings: no ports for **********"
    ]
