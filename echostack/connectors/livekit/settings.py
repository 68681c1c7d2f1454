"""How a LiveKit room is joined: the settings that both ends share, and the connection that comes out of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from echostack.connectors.http_call import Redactor
from echostack.core.errors import ConnectorFailure
from echostack.registry import ConnectorSettings
from echostack.registry.spec import Env

EXTRA: Final = "livekit"
PACKAGES: Final = ("livekit", "livekit.rtc", "livekit.api")

_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class LiveKitSettings(ConnectorSettings):
    """Which room, and as whom. Both ends of the transport have these; where only one was given any, the other end is
    in the same room."""

    url: Annotated[str, Env("LIVEKIT_URL")] = ""
    """The server: ``wss://PROJECT.livekit.cloud``, or ``ws://HOST:7880``."""
    token: Annotated[SecretStr | None, Env("LIVEKIT_TOKEN")] = None
    """An access token with the grant to join one room. Without it a token is made of the key, the secret, the room and
    the identity."""
    api_key: Annotated[SecretStr | None, Env("LIVEKIT_API_KEY")] = None
    """The project's API key."""
    api_secret: Annotated[SecretStr | None, Env("LIVEKIT_API_SECRET")] = None
    """The project's API secret; it signs tokens on this machine and is never sent."""
    room: Annotated[str, Env("LIVEKIT_ROOM")] = ""
    """The room to join; the server makes it when it is not there."""
    identity: str = Field("", max_length=256)
    """Who the agent is in the room; without one, ``agent-`` and the session's id."""
    connect_timeout: float = Field(5.0, gt=0, le=60)
    """Seconds that one attempt to reach the server may take; joining may take twice as long in all."""
    reconnect_timeout: float = Field(15.0, gt=0, le=300)
    """Seconds that a lost connection may take to come back before the call fails."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in _SCHEMES or not urlsplit(url).hostname):
            raise ValueError("the address of a LiveKit server looks like wss://PROJECT.livekit.cloud")
        return url

    @property
    def written(self) -> bool:
        """Whether the file itself says anything about the connection, as opposed to the environment."""
        return bool(_CONNECTION & self.model_fields_set)


_CONNECTION: Final = frozenset(("url", "token", "api_key", "api_secret", "room", "identity"))
_MINTING: Final = frozenset(("api_key", "api_secret", "room", "identity"))


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to connect and with what. Equal connections are one room; its text shows no secret."""

    url: str
    token: SecretStr | None
    api_key: SecretStr | None
    api_secret: SecretStr | None
    room: str
    identity: str

    @classmethod
    def of(cls, settings: LiveKitSettings) -> Connection:
        """The connection that ``settings`` describe, whole or not.

        What the file says goes before what the environment has: a file that names a key, a room or an identity and no
        token means a token made of them.
        """
        token = settings.token
        if token is not None and "token" not in settings.model_fields_set and _MINTING & settings.model_fields_set:
            token = None
        if token is not None:
            return cls(settings.url, token, None, None, "", "")
        return cls(settings.url, None, settings.api_key, settings.api_secret, settings.room, settings.identity)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is still lacking, as settings and their variables."""
        lacking = [] if self.url else ["url (LIVEKIT_URL)"]
        if self.token is None:
            pairs = (
                (self.api_key, "api_key (LIVEKIT_API_KEY)"),
                (self.api_secret, "api_secret (LIVEKIT_API_SECRET)"),
                (self.room, "room (LIVEKIT_ROOM)"),
            )
            lacking += [name for value, name in pairs if not _text(value)]
        return tuple(lacking)

    def require(self, node: str) -> None:
        """ConnectorFailure that names everything that is missing at once."""
        missing = self.missing
        if missing:
            instead = "" if self.token is not None or missing == ("url (LIVEKIT_URL)",) else (
                "; or give token (LIVEKIT_TOKEN) in place of the key, the secret and the room"
            )  # fmt: skip
            raise ConnectorFailure(
                f"{node} does not know which LiveKit room to join: give {_listed(missing)}{instead}", retryable=False
            )

    def access_token(self, session: str) -> str:
        """The token given, or one made for this session: it joins, hears, speaks and sends data in this one room, and
        is good for six hours to join with. The server takes its bearer for an agent."""
        if self.token is not None:
            return _text(self.token)
        from livekit import api

        grants = api.VideoGrants(room_join=True, room=self.room, can_update_own_metadata=True)
        made = api.AccessToken(_text(self.api_key), _text(self.api_secret))
        identity = self.identity or f"agent-{session}"
        return made.with_identity(identity).with_kind("agent").with_grants(grants).to_jwt()

    @property
    def http_url(self) -> str:
        """The same server for plain HTTP, without a slash at the end."""
        parts = urlsplit(self.url)
        return parts._replace(scheme=_SCHEMES[parts.scheme], query="", fragment="").geturl().rstrip("/")

    @property
    def place(self) -> str:
        """The server as messages name it: its host and port, nothing that could be a secret."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2]

    def redactor(self, *tokens: str) -> Redactor:
        """Takes this connection's secrets, and ``tokens``, out of other people's texts."""
        own = [s for s in (self.token, self.api_key, self.api_secret) if s is not None]
        return Redactor([*own, *(SecretStr(t) for t in tokens)])


def _text(value: SecretStr | str | None) -> str:
    """A setting without what stands around it: a file that a secret is read from ends in a line break."""
    return (value.get_secret_value() if isinstance(value, SecretStr) else value or "").strip()


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
