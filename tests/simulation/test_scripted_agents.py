"""An agent that runs as itself and whose words a scenario scripts: what it says is spoken."""

from __future__ import annotations

from tests.simulation.calls import call

GRAPH = """
echostack: 1
connectors:
  faq.agent: {facts: [{ask: when are you open, say: From nine to five.}]}
pipeline:
  - ingress.phone.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.app.audio_chunk
"""


def test_scripted_words_are_spoken_and_what_the_script_leaves_open_is_the_agents_own() -> None:
    outcome = call(
        """
connectors: {faq.agent: {replies: [{to: hello, say: "Scripted words. And more."}]}}
caller: [{say: hello there}, {listen: 1s}, {say: when are you open}, {listen: 1s}, hang up]
""",
        GRAPH,
    )
    assert [h.text for h in outcome.heard] == ["Scripted words. And more.", "From nine to five."]
    assert not outcome.failures
