"""What is said about connectors, playbooks and their settings. Whole messages."""

from __future__ import annotations

from tests.checks.helpers import checked, told


def test_unknown_connector() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.sst -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "2:36-48 E0401 there is no connector 'deepgram.sst'",
        "  help: did you mean 'deepgram.stt'?",
    ]


def test_unknown_connector_of_a_known_vendor() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> anthropic.judge
        """
    )
    assert told(findings).split("\n") == [
        "3:21-36 E0401 there is no connector 'anthropic.judge'",
        (
            "  help: the extra 'anthropic' holds what anthropic needs: pip install 'echostack[anthropic]'; or "
            "name the module that declares anthropic.judge with --plugin"
        ),
    ]


def test_unknown_transport() -> None:
    _, findings = checked(
        r"""
        pipeline:
          - ingress.zoom.audio_frame -> deepgram.stt -> transcript.log
        """
    )
    assert told(findings).split("\n") == [
        "2:5-29 E0401 there is no transport 'zoom' with an ingress",
        "  help: there are file, livekit, sms; --plugin names a module that declares more",
    ]


def test_unknown_setting() -> None:
    _, findings = checked(
        r"""
        connectors:
          claude.agent: {sytem: hello}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:18-23 E0408 claude.agent has no setting 'sytem'",
        "  help: did you mean 'system'?",
    ]


def test_setting_of_the_wrong_type() -> None:
    _, findings = checked(
        r"""
        connectors:
          claude.agent: {max_tokens: many}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        (
            "2:18-28 E0410 the setting 'max_tokens' of claude.agent is wrong: input should be a valid integer, "
            "unable to parse string as an integer, not 'many'"
        ),
    ]


def test_setting_out_of_bounds() -> None:
    _, findings = checked(
        r"""
        connectors:
          deepgram.stt:
            model: nova-3
            rate: 400
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        (
            "4:5-9 E0410 the setting 'rate' of deepgram.stt is wrong: input should be greater than or equal to "
            "8000, not 400"
        ),
    ]


def test_setting_missing() -> None:
    _, findings = checked(
        r"""
        connectors:
          crm.write: {token: x}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router
          - intent.router:book_meeting -> crm.write
          - intent.router:other -> keys.log
        """
    )
    assert told(findings).split("\n") == [
        "2:3-12 E0409 crm.write needs the setting 'url'",
        "  help: add it under `connectors:`: crm.write: {url: ...} (Where the CRM listens.)",
    ]


def test_secret_setting_wrong() -> None:
    _, findings = checked(
        r"""
        connectors:
          deepgram.stt: {api_key: sk-broken-123}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:18-25 E0410 the setting 'api_key' of deepgram.stt is wrong: the key ********** is broken",
    ]


def test_secret_setting_of_the_wrong_type() -> None:
    _, findings = checked(
        r"""
        connectors:
          deepgram.stt: {api_key: 12345678}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:18-25 E0410 the setting 'api_key' of deepgram.stt is wrong: input should be a valid string",
    ]


def test_declared_and_not_used() -> None:
    _, findings = checked(
        r"""
        connectors:
          sentiment.score: {}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
        """
    )
    assert told(findings).split("\n") == [
        "2:3-18 W0419 'sentiment.score' is declared, and no rule uses it",
        "  help: name it in a rule, or remove it",
    ]


def test_playbook_unknown() -> None:
    _, findings = checked(
        r"""
        playbooks: {booker: {}}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router
          - intent.router:book_meeting -> boker.playbook
          - intent.router:other -> keys.log
        """
    )
    assert told(findings).split("\n") == [
        "1:13-19 E0417 the playbook 'booker' cannot run yet",
        "  note: this version of EchoStack reads playbooks and checks their names, but does not run them",
        "  help: leave it out, with the rules that end in it",
        "5:35-49 E0416 'boker.playbook' names no entry of `playbooks:`",
        "  help: did you mean 'booker.playbook'?",
    ]


def test_playbook_cannot_run() -> None:
    _, findings = checked(
        r"""
        playbooks: {booker: {}}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt -> claude.agent -> elevenlabs.tts -> egress.livekit.audio_chunk
          - deepgram.stt -> intent.router
          - intent.router:book_meeting -> booker.playbook
          - intent.router:other -> keys.log
        """
    )
    assert told(findings).split("\n") == [
        "1:13-19 E0417 the playbook 'booker' cannot run yet",
        "  note: this version of EchoStack reads playbooks and checks their names, but does not run them",
        "  help: leave it out, with the rules that end in it",
    ]
