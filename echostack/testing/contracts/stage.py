"""What one case of a suite plays on: a clock, the far end, connectors that are closed at its end, what they left."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from echostack.core.clock import Compute, LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.registry import ConnectorSpec
from echostack.testing.contracts.far_end import FarEnd
from echostack.testing.contracts.left import Left
from echostack.testing.contracts.rig import Rig, secrets_of, settings_of

_TO_CLOSE = 2.0  # seconds in which sockets of both ends are gone after both have let go


class Stage:
    """``async with Stage(...) as stage``: the far end is started, what ``connector`` made is closed at the end, and
    then nothing of it may be left."""

    def __init__(
        self,
        spec: ConnectorSpec,
        given: Mapping[str, Any],
        environment: Mapping[str, str],
        compute: Compute,
        far: FarEnd | None,
        patience: float,
        *,
        any_key: bool = True,
    ) -> None:
        self.spec, self.far, self.patience = spec, far, patience
        self.clock = LoopClock()
        self._given, self._environment, self._compute = dict(given), dict(environment), compute
        self._any_key = any_key
        self._rigs: list[Rig] = []
        self._left: Left | None = None
        self.shared: dict[str, Any] = {}
        self.judged = True
        """Whether what is left at the end is a mistake."""

    async def __aenter__(self) -> Stage:
        if self.far is not None:
            await self.far.start()
        self._left = Left()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self.close()
            if self._left is not None and error is None and self.judged:
                await self._left.nothing(_TO_CLOSE, self.spec.name)
        finally:
            if self.far is not None:
                await self.far.stop()

    async def restart(self, far: FarEnd | None) -> None:
        """Put another far end in the place of the one that is there; for connectors made from now on."""
        if self.far is None or far is None:
            return
        await self.far.stop()
        self.far = far
        await far.start()
        self._left = Left()

    async def close(self) -> None:
        """Close every connector that was made here, those that are closed already once more."""
        for rig in self._rigs:
            async with self.clock.timeout(self.patience):
                await rig.close()

    @property
    def far_end(self) -> FarEnd:
        """The far end of a case that has one."""
        assert self.far is not None, "this case needs a far end"
        return self.far

    def make(self, node: str = "", **settings: Any) -> Rig:
        """A connector that is not open yet, with ``settings`` over those of the suite."""
        environment = {**(self.far.environment if self.far is not None else {}), **self._environment}
        made = settings_of(self.spec, {**self._given, **settings}, environment, any_key=self._any_key)
        rig = Rig(self.spec, made, self.clock, self._compute, node=node, shared=self.shared)
        self._rigs.append(rig)
        return rig

    async def connector(self, node: str = "", **settings: Any) -> Rig:
        """A connector, open."""
        rig = self.make(node, **settings)
        async with self.clock.timeout(self.patience):
            await rig.open()
        return rig

    def judge(self, error: BaseException, rig: Rig) -> ConnectorFailure:
        """``error`` as the failure that a connector may raise. AssertionError for any other, for one that shows a
        secret (in its traceback's texts, those of its causes included), and for a message that is no message."""
        assert isinstance(error, ConnectorFailure), (
            f"raised {type(error).__name__}: {error}\n"
            "a connector says what went wrong with ConnectorFailure(message, retryable=…)"
        )
        self.no_secret("".join(traceback.format_exception(error)), rig, "the error")
        message = str(error)
        assert message.strip(), "the failure has no message"
        assert "Traceback" not in message, f"the message is a traceback: {message}"
        assert len(message) <= 1000, f"a message of {len(message)} characters is no message: {message[:300]} …"
        return error

    def no_secret(self, text: str, rig: Rig, where: str) -> None:
        """AssertionError when a secret of the connector's settings stands in ``text``."""
        for secret in secrets_of(rig.settings):
            assert secret not in text, f"{where} shows a secret: …{text.partition(secret)[0][-200:]}"
