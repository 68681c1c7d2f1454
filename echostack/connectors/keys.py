"""A vendor's key as an HTTP header takes it, which is where every vendor wants it."""

from __future__ import annotations

from pydantic import SecretStr

from echostack.core.errors import ConnectorFailure


def header_key(key: SecretStr, *, node: str, variable: str, source: str) -> str:
    """The key without what stands around it: a file that a key is read from ends in a line break.

    ConnectorFailure, not to be retried, when there is none, or none that a header can hold: the HTTP libraries quote
    such a header in their errors and logs, and with it the key. variable: where it usually comes from; source: the page
    that gives one.
    """
    value = key.get_secret_value().strip()
    if not value:
        raise ConnectorFailure(
            f"{node}: there is no key: put one into {variable} or api_key; {source} gives one", retryable=False
        )
    if not (value.isascii() and value.isprintable()):
        raise ConnectorFailure(
            f"{node}: the key holds what no key does, such as a line break or a letter that is not ASCII: put the key "
            f"alone into {variable} or api_key; {source} gives one",
            retryable=False,
        )
    return value
