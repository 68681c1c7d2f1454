"""The UDP side of the LiveKit server: one socket for every peer, answering connectivity checks as an ICE-lite agent.

An ICE-lite agent (RFC 8445, section 2.5) offers one host candidate, sends no checks of its own and answers the peer's,
as LiveKit's own server does with ``use_ice_lite``. Datagrams are told apart by their first byte (RFC 7983).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol

from aioice import stun

Address = tuple[str, int]

_BUFFER: Final = 4 * 2**20  # bytes the kernel may hold for us: a stalled loop loses no audio
_UFRAGS: Final = 4  # credentials of one peer that stand at once: those before an ICE restart live on while it lasts


class Path(Protocol):
    """What the socket hands a peer's datagrams to."""

    def received(self, data: bytes) -> None:
        """One DTLS or SRTP datagram."""


class IceAgent:
    """One peer's credentials and the address that its checks come from."""

    def __init__(self, ports: MediaSocket, path: Path) -> None:
        self._ports = ports
        self._path = path
        self._passwords: dict[str, str] = {}
        self.dark = False  # nothing comes or goes
        self.ufrag = ""
        self.password = ""
        self.address: Address | None = None
        self.heard = ports.now()  # when its last valid check came
        self.restart()

    def restart(self) -> None:
        """New credentials, and light again after `darken`. The old ones still answer until the peer has moved over."""
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(12)
        self._passwords[self.ufrag] = self.password
        self._ports.enter(self.ufrag, self)
        while len(self._passwords) > _UFRAGS:
            oldest = next(iter(self._passwords))
            del self._passwords[oldest]
            self._ports.leave(oldest)
        if self.dark:  # what came back does so by the new credentials only
            for ufrag in list(self._passwords)[:-1]:
                del self._passwords[ufrag]
                self._ports.leave(ufrag)
            self.dark = False

    def darken(self) -> None:
        """Lose every datagram in both directions, as when the network went. An ICE restart ends it."""
        self.dark = True

    def close(self) -> None:
        """Forget the peer: its datagrams are strangers' from here on."""
        for ufrag in self._passwords:
            self._ports.leave(ufrag)
        self._passwords.clear()
        if self.address is not None:
            self._ports.forget(self.address, self)
        self.address = None

    def send(self, data: bytes) -> None:
        """Send one datagram to the peer; lost while there is no address."""
        if self.address is not None and not self.dark:
            self._ports.send(data, self.address)

    def received(self, data: bytes) -> None:
        if not self.dark:
            self._path.received(data)

    def checked(self, message: stun.Message, ufrag: str, address: Address) -> bytes | None:
        """The answer to a connectivity check; None when it does not come from the peer, or the network is gone."""
        password = self._passwords.get(ufrag)
        if self.dark or password is None or not message.check_message_integrity(password.encode()):
            return None
        # The controlling side chooses by USE-CANDIDATE; before it has, any address that it checks from will do.
        if self.address is None or ("USE-CANDIDATE" in message.attributes and self.address != address):
            if self.address is not None:
                self._ports.forget(self.address, self)
            self.address = address
            self._ports.learn(address, self)
        self.heard = self._ports.now()
        answer = stun.Message(message.message_method, stun.Class.RESPONSE, message.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
        answer.add_message_integrity(password.encode())
        return bytes(answer)


class MediaSocket(asyncio.DatagramProtocol):
    """The server's UDP socket on this machine. ``strangers`` counts datagrams that belong to no peer."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.strangers = 0
        self.port = 0
        self._agents: dict[str, IceAgent] = {}
        self._addresses: dict[Address, IceAgent] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._closed: asyncio.Future[None] | None = None

    @property
    def host(self) -> str:
        return "127.0.0.1"

    async def open(self) -> None:
        """Bind to a free port of the loopback interface."""
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        self._transport = transport
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.port = int(sock.getsockname()[1])

    async def close(self) -> None:
        """Close the socket and wait until it is. Idempotent."""
        transport, self._transport = self._transport, None
        if transport is not None and self._closed is not None:
            transport.close()
            await self._closed

    def connection_lost(self, error: Exception | None) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def enter(self, ufrag: str, agent: IceAgent) -> None:
        self._agents[ufrag] = agent

    def leave(self, ufrag: str) -> None:
        self._agents.pop(ufrag, None)

    def learn(self, address: Address, agent: IceAgent) -> None:
        self._addresses[address] = agent

    def forget(self, address: Address, agent: IceAgent) -> None:
        if self._addresses.get(address) is agent:
            del self._addresses[address]

    def send(self, data: bytes, address: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, address)

    def datagram_received(self, data: bytes, address: Address) -> None:
        if data and data[0] < 4:
            self._check(data, address)
            return
        agent = self._addresses.get(address)
        if agent is None:
            self.strangers += 1
        else:
            agent.received(data)

    def error_received(self, error: Exception) -> None:
        # A peer's socket that has gone (ICMP port unreachable): its silence is what tells, not this.
        self.strangers += 1

    def _check(self, data: bytes, address: Address) -> None:
        try:
            message = stun.parse_message(data)
        except (ValueError, struct.error):
            self.strangers += 1
            return
        if message.message_method != stun.Method.BINDING or message.message_class != stun.Class.REQUEST:
            return
        ufrag = str(message.attributes.get("USERNAME", "")).partition(":")[0]
        agent = self._agents.get(ufrag)
        answer = agent.checked(message, ufrag, address) if agent is not None else None
        if answer is None:
            self.strangers += 1
        else:
            self.send(answer, address)
