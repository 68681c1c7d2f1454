"""Whom `providers call` calls, by what the environment says."""

from __future__ import annotations

import pytest

from echostack.cli.ringing import Asked, ring, room_of
from echostack.core.errors import UsageError


def token(room: str) -> str:
    from livekit import api

    return (
        api.AccessToken("key", "s" * 40)
        .with_identity("me")
        .with_grants(api.VideoGrants(room_join=True, room=room))
        .to_jwt()
    )


def test_a_token_for_another_room_is_told_before_anybody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "ws://127.0.0.1:9")
    monkeypatch.setenv("LIVEKIT_ROOM", "kitchen")
    monkeypatch.setenv("LIVEKIT_TOKEN", token("cellar"))
    with pytest.raises(UsageError) as error:
        ring(Asked(turns=("Hello.",)))
    assert str(error.value) == (
        "LIVEKIT_TOKEN is for the room 'cellar', and 'kitchen' is to be called: set LIVEKIT_ROOM or --room to the "
        "token's, or take a token for it"
    )


@pytest.mark.parametrize("text", ["", "no token", "a.b.c", "a.e30.c", "a.W10.c", "a.////.c"])
def test_what_names_no_room_is_left_to_the_server(text: str) -> None:
    assert room_of(text) == ""


def test_the_room_of_a_token_is_read() -> None:
    assert room_of(token("cellar")) == "cellar"
