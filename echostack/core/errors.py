"""Exceptions. Each says whose fault it is: the file's, the caller's of the API, a connector's, or ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from echostack.core.diagnostic import Diagnostic
    from echostack.core.span import Source

TRACEBACK: Final = "ECHOSTACK_TRACEBACK"
"""The environment variable that asks for the traceback of an unexpected error."""


class EchoStackError(Exception):
    """The base of every error that EchoStack raises on purpose."""


class InvalidFile(EchoStackError):
    """A `.echo` file has errors. ``diagnostics`` holds all of them, warnings included."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: dict[str, Source] | None = None) -> None:
        self.diagnostics = tuple(diagnostics)
        self.sources = sources or {}
        errors = [d for d in self.diagnostics if d.is_error]
        first = f": {errors[0].span}: {errors[0].code.id} {errors[0].message}" if errors else ""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{len(errors)} error{'s' if len(errors) != 1 else ''}{first}{more}")


class UsageError(EchoStackError):
    """The caller of the API or of a command asked for something that cannot be; the message says what to do."""


class InvalidConnector(EchoStackError):
    """A connector's own code is declared wrongly; the message names the connector and what to change."""


class MissingExtra(EchoStackError):
    """A connector needs a package that is not installed; the message names the extra to install."""

    def __init__(self, connector: str, package: str, extra: str) -> None:
        self.connector, self.package, self.extra = connector, package, extra
        super().__init__(
            f"{connector} needs the package {package!r}, which is not installed: pip install 'echostack[{extra}]'"
        )


class ConnectorFailure(EchoStackError):
    """A connector says that it cannot go on with this event; ``retryable`` says whether trying again may help.

    ``retry_after`` is the far end's own hint in seconds, when it gave one.
    """

    def __init__(self, message: str, *, retryable: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class InDoubt(EchoStackError):
    """An effect was probably done, but what came back cannot be used: it is tried again nowhere, so as not to be done
    twice."""


class QueueOverflow(EchoStackError):
    """A queue whose overflow policy is ``error`` was full."""


class SessionClosed(EchoStackError):
    """Something was asked of a call that has already ended."""
