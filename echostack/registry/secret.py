"""The secrets that a connector's settings hold, for whoever must keep them out of something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

WORTH_HIDING = 6
"""Characters from which on a secret is looked for everywhere; a shorter one would be found in half of all words."""


def secrets_in(settings: Any) -> Iterator[str]:
    """The secrets that validated settings hold, in the order of the fields."""
    if isinstance(settings, SecretStr):
        yield settings.get_secret_value()
    elif isinstance(settings, SecretBytes):
        yield settings.get_secret_value().decode("utf-8", "replace")
    elif isinstance(settings, BaseModel):
        for name in type(settings).model_fields:
            yield from secrets_in(getattr(settings, name))
    elif isinstance(settings, Mapping):
        for value in settings.values():
            yield from secrets_in(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from secrets_in(value)
