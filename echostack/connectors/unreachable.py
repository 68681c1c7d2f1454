"""Why a far end could not be connected to, in words that say what to look at: errors of sockets, names and TLS."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

_NO_HOST: Final = "no host of that name is known: see that the address is right, and that there is a network"
_NO_LISTENER: Final = "nothing listens there: see that the address is right, and that the service runs"
_WORDS: Final = (
    (
        ("wrong_version_number", "wrong version number", "invalidcontenttype", "record_layer_failure"),
        "it does not speak TLS there: the address begins with http:// or ws:// then, not with https:// or wss://",
    ),
    (
        (
            "name or service not known", "nodename nor servname", "name resolution", "no address associated",
            "getaddrinfo", "failed to lookup address",
        ),
        _NO_HOST,
    ),
    (
        ("connection refused", f"errno {errno.ECONNREFUSED}", "connect call failed"),
        _NO_LISTENER,
    ),
)  # fmt: skip


def why_unreachable(error: BaseException | str) -> str:
    """What a failed connection means, and what to look at; the error's own words where it is none of the usual ones,
    and the name of its type where it has none. The words may hold a secret: they are the caller's to redact.

    Libraries hide what the system said behind errors of their own, so the causes are looked through as well.
    """
    if isinstance(error, str):
        return _known(error) or error
    said = list(_said(error))
    known = next((words for text in said if (words := _known(text))), "")
    return known or str(getattr(error, "strerror", None) or error) or type(error).__name__


def nobody_there(error: BaseException) -> bool:
    """Whether there is nobody at the address, and that was told at once: nothing listens, or no host has the name."""
    return why_unreachable(error) in (_NO_HOST, _NO_LISTENER)


def _known(text: str) -> str:
    low = text.lower()
    return next((words for marks, words in _WORDS if any(mark in low for mark in marks)), "")


def _said(error: BaseException) -> Iterator[str]:
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if any(one is other for other in seen):
            continue
        seen.append(one)
        yield str(one)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
