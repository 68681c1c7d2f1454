"""A graph with scenarios, one of which fails, as it stands in a folder."""

from __future__ import annotations

from pathlib import Path

SHOP = """\
echostack: 1
name: shop
connectors:
  faq.agent:
    facts:
      - {ask: When are you open?, say: We are open from nine to six on every day but Sunday.}
pipeline:
  - ingress.mic.audio_frame -> moonshine.stt -> faq.agent -> piper.tts -> egress.speaker.audio_chunk
tests:
  - name: asks for the hours
    caller: [say: When are you open?, listen: 1s, hang_up: true]
    expect:
      - {heard: {contains: nine to six}}
  - name: wants lunch
    seed: 7
    caller: [say: When are you open?, listen: 1s, hang_up: true]
    expect:
      - {event: processing.moonshine.text, where: '"lunch" in text'}
"""
QUIET = """\
graph: shop.echo
tests:
  - name: says nothing
    caller: [pause: 3s, hang_up: true]
    expect: [{heard: ''}]
"""
WRONG = "pipeline:\n  - ingress.mic.audio_frame -> moonshine.sttt\ntests:\n  - {name: a, caller: [pause: 1s]}\n"


def write(folder: Path, **files: str) -> Path:
    """Files by name, ``__`` for a folder's slash, each with the ending .echo."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".echo")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
