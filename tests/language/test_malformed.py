"""Every file of the corpus gets its own right code at its own right place, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from echostack.core.diagnostic import Diagnostic, Findings
from echostack.core.errors import InvalidFile
from echostack.language import CODES, decode_source, read_document, read_source

FOLDER = Path(__file__).parent / "malformed"
INDEX: dict[str, str] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
"""File name → expected code and ``line:column`` of the first finding."""


def findings_of(path: Path) -> list[Diagnostic]:
    findings = Findings()
    try:
        read_document(read_source(path), findings)
    except InvalidFile as error:
        return list(error.diagnostics)
    return findings.ordered()


@pytest.mark.parametrize("name", sorted(INDEX))
def test_each_file_gets_its_own_code_at_its_own_place(name: str) -> None:
    code, place = INDEX[name].split(" ")
    found = findings_of(FOLDER / name)
    assert {d.code.id for d in found} == {code}, [(str(d.span), d.message) for d in found]
    span = found[0].span
    assert span is not None
    assert f"{span.line}:{span.column}" == place


def test_the_index_and_the_folder_agree() -> None:
    assert sorted(INDEX) == sorted(p.name for p in FOLDER.iterdir() if p.name != "index.json")
    assert len(INDEX) >= 60


def test_every_code_has_a_file() -> None:
    used = {entry.split(" ")[0] for entry in INDEX.values()}
    # A file of more than a mebibyte is made by the test below instead of being kept.
    assert {c.id for c in CODES} - used == {"E0101"}


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(InvalidFile) as caught:
        decode_source(b"#" * (2**20 + 1), "big.echo")
    assert str(caught.value) == "1 error: big.echo:1:1: E0101 the file is larger than 1,048,576 bytes"


def test_every_message_says_what_to_do_or_lists_what_there_is() -> None:
    for name in INDEX:
        for d in findings_of(FOLDER / name):
            assert d.message
            assert "\n" not in d.message
            assert d.help or " takes " in d.message or d.code.id in ("E0108", "E0109"), (name, d.message)


def test_codes_are_unique_and_belong_to_this_floor() -> None:
    assert len({c.id for c in CODES}) == len(CODES)
    assert len({c.title for c in CODES}) == len(CODES)
    assert all(c.id[:3] in ("E01", "E02", "W01") for c in CODES)
