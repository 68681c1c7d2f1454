"""Settings given from outside a file."""

from __future__ import annotations

import pytest

import echostack
from echostack.core.errors import UsageError

TEXT = """\
echostack: 1
name: ear
connectors: {webrtc.vad: {mode: 1}}
pipeline:
  - ingress.mic.audio_frame -> webrtc.vad
"""


@pytest.mark.parametrize("path", ["webrtc.vad", "webrtc.vad.", ".", "webrtc..vad"])
def test_a_path_without_a_setting_says_what_a_path_is(path: str) -> None:
    with pytest.raises(UsageError) as refused:
        echostack.check(TEXT, settings={path: 1})
    assert str(refused.value) == f"cannot set {path!r}: name the node and the setting, such as faq.agent.greeting"


def test_a_mistake_in_a_given_setting_is_not_shown_in_the_file() -> None:
    (finding,) = echostack.check(TEXT, settings={"webrtc.vad.mode": "high"}).errors
    assert finding.span is not None
    assert finding.span.file == "<settings>"
