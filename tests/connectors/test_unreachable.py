"""Why a far end could not be connected to, in words."""

import socket
import ssl

import httpx2
import pytest

from echostack.connectors.unreachable import why_unreachable

NOTHING = "nothing listens there: see that the address is right, and that the service runs"
NO_NAME = "no host of that name is known: see that the address is right, and that there is a network"
NO_TLS = "it does not speak TLS there: the address begins with http:// or ws:// then, not with https:// or wss://"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), NOTHING),
        (socket.gaierror(-2, "Name or service not known"), NO_NAME),
        (socket.gaierror(-3, "Temporary failure in name resolution"), NO_NAME),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"), NO_TLS),
        ("engine: signal failure: transport connection error: IO error: Connection refused (os error 111)", NOTHING),
        ("engine: signal failure: IO error: received corrupt message of type InvalidContentType", NO_TLS),
        (OSError(113, "No route to host"), "No route to host"),
        (ConnectionResetError(), "ConnectionResetError"),
        ("something else", "something else"),
    ],
)
def test_a_failed_connection_is_told_in_words(error: BaseException | str, words: str) -> None:
    assert why_unreachable(error) == words


def test_what_the_system_said_is_found_behind_a_library_s_error() -> None:
    inner = OSError("All connection attempts failed")
    inner.__cause__ = ExceptionGroup("attempts", [ConnectionRefusedError(111, "Connection refused")])
    outer = httpx2.ConnectError("All connection attempts failed")
    outer.__context__ = inner
    assert why_unreachable(outer) == NOTHING


def test_errors_that_are_each_other_s_cause_come_to_an_end() -> None:
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert why_unreachable(one) == "one"


async def test_a_closed_port_and_a_name_that_is_none_are_told_from_a_real_client() -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx2.ConnectError) as refused:
            await client.get("http://127.0.0.1:1/")
    assert why_unreachable(refused.value) == NOTHING
