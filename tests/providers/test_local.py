"""All local servers together, and what their models answer by a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from echostack.core.errors import InvalidFile, MissingExtra, UsageError
from echostack.providers import local
from echostack.providers.brain import Bit, Brain, Calling, Message
from echostack.providers.faults import Fault
from echostack.providers.local import Local
from echostack.providers.replies import OTHERWISE, Reply, ScriptedReplies, read_replies


async def said(brain: Brain, *messages: tuple[str, str]) -> list[Bit]:
    told: list[Message] = [{"role": role, "content": text} for role, text in messages]
    return [bit async for bit in brain.reply(told, 1000)]


async def text(brain: Brain, question: str) -> str:
    return "".join(str(bit) for bit in await said(brain, ("system", "You are a shop."), ("user", question)))


def written(folder: Path, text: str) -> Path:
    (folder / "replies.yaml").write_text(text, encoding="utf-8")
    return folder / "replies.yaml"


async def test_each_server_has_its_environment_and_all_stop_together() -> None:
    servers = Local(["openai", "anthropic"])
    async with servers:
        assert list(servers.servers) == ["anthropic", "openai"]
        assert servers.environment["OPENAI_API_KEY"] == "local"
        assert servers.environment["ANTHROPIC_BASE_URL"] == servers.servers["anthropic"].url
        ports = {server.port for server in servers.servers.values()}
        assert len(ports) == 2
    await servers.stop()


async def test_a_port_that_is_taken_is_told_and_nothing_stays_open() -> None:
    async with Local(["anthropic"], port_base=18_300):
        again = Local(["anthropic"], port_base=18_300)
        with pytest.raises(UsageError, match="anthropic cannot listen on port 18302: it is taken; choose others"):
            await again.start()
        assert again.servers == {}


def test_what_there_is_no_server_of_is_told() -> None:
    with pytest.raises(UsageError) as wrong:
        Local(["elevenlab"])
    assert str(wrong.value) == "there is no local server of 'elevenlab'; did you mean 'elevenlabs'?"
    with pytest.raises(UsageError) as wrong:
        Local(["openai"], faults={"deepgram": [Fault.parse("cut")]})
    assert str(wrong.value) == "a fault is asked of deepgram, which is not started: name it among the servers"
    with pytest.raises(UsageError, match="--port-base is a number from 1024 to"):
        Local(["openai"], port_base=80)


async def test_a_missing_package_is_one_message_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_spec", lambda name: None if name == "moonshine_voice" else object())
    with pytest.raises(MissingExtra) as missing:
        await Local(["deepgram"]).start()
    assert str(missing.value) == (
        "the local deepgram needs the package 'moonshine_voice', which is not installed: pip install"
        " 'echostack[embedded]'"
    )


async def test_questions_are_found_by_what_they_mean() -> None:
    brain = ScriptedReplies(pause=0.0)
    assert (await text(brain, "Uh, when do you open tomorrow?")).startswith("We are open from nine to six")
    assert "twelve Mill Lane" in await text(brain, "And where are you?")
    assert await text(brain, "Do you sell elephants?") == OTHERWISE


async def test_a_tool_is_asked_for_and_its_result_answered() -> None:
    brain = ScriptedReplies([Reply(("a table please",), "Booked.", "book_table", {"people": 2})], pause=0.0)
    asked: tuple[tuple[str, str], ...] = (("user", "A table, please."),)
    assert await said(brain, *asked) == [Calling("book_table", {"people": 2})]
    assert await said(brain, *asked, ("tool", "{}")) == ["Booked."]


async def test_a_file_of_replies_in_its_three_forms(tmp_path: Path) -> None:
    turns = read_replies(written(tmp_path, "[First., Second.]"))
    assert [await text(turns, "x"), await text(turns, "x"), await text(turns, "x")] == ["First.", "Second.", "Second."]
    by_question = read_replies(written(tmp_path, 'When are you open?: "At {nine}."\notherwise: Ask again.'))
    assert [await text(by_question, q) for q in ("when are you open", "elephants")] == ["At {nine}.", "Ask again."]
    entries = read_replies(written(tmp_path, "- {ask: [Where are you?], say: Here.}\n- {otherwise: No.}"))
    assert [await text(entries, q) for q in ("where are you", "elephants")] == ["Here.", "No."]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("7", ": a file of replies is a list of answers, or questions with their answers"),
        ("", ": a file of replies is a list of answers, or questions with their answers"),
        ("- {ask: [], say: Here.}", ": entry 1: ask has no question"),
        ("- {ask: Where?, tell: Here.}", ": entry 1 has 'tell': it takes ask, say, call, with, otherwise"),
        ("- {ask: Where?}", ": entry 1: say is a text that is not empty"),
        (
            "- {ask: Where?, say: Here, with: 3}",
            ": entry 1: with is a mapping from the tool's arguments to their values",
        ),
        ("- {ask: Where?, say: Here}\n- 5", ": entry 2 is not {ask: …, say: …}"),
    ],
)
def test_a_wrong_file_of_replies_is_one_message(tmp_path: Path, text: str, told: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError) as wrong:
        read_replies(file)
    assert str(wrong.value) == f"{file}{told}"


def test_a_file_that_is_no_yaml_is_shown_where(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile):
        read_replies(written(tmp_path, "- {ask: [Where?"))
