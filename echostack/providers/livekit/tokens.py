"""Access tokens of the LiveKit server: JWTs signed with the secret that belongs to an API key (HS256)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from livekit.protocol import models

_LEEWAY: Final = 60  # seconds of clock skew, as LiveKit's own servers allow


class Refused(Exception):
    """The caller may not do this. ``status`` and the message are LiveKit's own answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token allows, and who it says that its bearer is."""

    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: int = models.ParticipantInfo.STANDARD
    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    hidden: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_update_own_metadata: bool = False

    def permission(self) -> models.ParticipantPermission:
        return models.ParticipantPermission(
            can_subscribe=self.can_subscribe,
            can_publish=self.can_publish,
            can_publish_data=self.can_publish_data,
            can_update_metadata=self.can_update_own_metadata,
            hidden=self.hidden,
        )

    def need_admin(self, room: str) -> None:
        """Refused where the token is not one of an administrator of ``room``."""
        if not self.room_admin or (self.room and self.room != room):
            raise Refused(401, "permissions denied")


def verify(token: str, key: str, secret: str) -> Grants:
    """The grants of a token. Refused, with LiveKit's own words, where it is not of this key, forged or expired."""
    try:
        unverified = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, UnicodeError):  # a header may hold bytes that are no text
        raise Refused(401, "invalid authorization token") from None
    if unverified.get("iss") != key:
        raise Refused(401, "invalid API key")
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], leeway=_LEEWAY, options={"require": ["exp"]})
    except jwt.ExpiredSignatureError:
        raise Refused(
            401,
            "invalid authorization token: go-jose/go-jose/jwt: validation failed, token is expired (exp)",
        ) from None
    except jwt.InvalidSignatureError:
        raise Refused(401, "invalid authorization token: go-jose/go-jose: error in cryptographic primitive") from None
    except jwt.PyJWTError as error:
        raise Refused(401, f"invalid authorization token: {error}") from None
    return _grants(claims)


def bearer(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The token of a request. Refused where there is none, or the header is of another form."""
    header = headers.get("Authorization", "")
    if header:
        if not header.startswith("Bearer "):
            raise Refused(401, "invalid authorization header. Must start with Bearer ")
        return header[len("Bearer ") :]
    token = query.get("access_token", "")
    if not token:
        raise Refused(401, "permissions denied")
    return token


def _grants(claims: Mapping[str, Any]) -> Grants:
    video = claims.get("video")
    video = video if isinstance(video, dict) else {}
    attributes = claims.get("attributes")
    kind = str(claims.get("kind") or "standard").upper()
    return Grants(
        identity=str(claims.get("sub") or ""),
        name=str(claims.get("name") or ""),
        metadata=str(claims.get("metadata") or ""),
        attributes={str(k): str(v) for k, v in attributes.items()} if isinstance(attributes, dict) else {},
        kind=models.ParticipantInfo.Kind.Value(kind) if kind in models.ParticipantInfo.Kind.keys() else 0,  # noqa: SIM118
        room=str(video.get("room") or ""),
        room_join=video.get("roomJoin") is True,
        room_create=video.get("roomCreate") is True,
        room_list=video.get("roomList") is True,
        room_admin=video.get("roomAdmin") is True,
        hidden=video.get("hidden") is True,
        # What a token does not say is allowed (LiveKit, auth.VideoGrant).
        can_publish=video.get("canPublish") is not False,
        can_subscribe=video.get("canSubscribe") is not False,
        can_publish_data=video.get("canPublishData", video.get("canPublish")) is not False,
        can_update_own_metadata=video.get("canUpdateOwnMetadata") is True,
    )
