"""What all contract suites have in common: how a case is run, which cases are for whom, what holds for all."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from echostack.core.clock import Compute, InlineCompute, ThreadCompute
from echostack.core.errors import ConnectorFailure, EchoStackError
from echostack.registry import ConnectorSpec, Form
from echostack.registry.declare import spec_of
from echostack.simulation.loop import run_virtual
from echostack.testing.contracts.far_end import FarEnd
from echostack.testing.contracts.left import Left
from echostack.testing.contracts.stage import Stage
from echostack.testing.contracts.steps import cancelled_at, choice_of, steps_of

T = TypeVar("T")
Body = Callable[..., Coroutine[Any, Any, None]]

_WHEN = "__echostack_case__"
_WARM: set[type] = set()  # suites whose connector has been at work in this process
_WHOLE_CASE = 60.0  # seconds after which a case is taken to hang, whatever it waits for


def case(when: Callable[[Any], bool] = lambda suite: True) -> Callable[[Body], Callable[..., None]]:
    """Make a coroutine method ``(self, stage, …)`` a test: it runs in a loop of its own, on virtual time where the
    connector has no far end. It is not collected for a suite of which ``when`` does not hold."""

    def give(body: Body) -> Callable[..., None]:
        def test(self: ConnectorContract, **given: Any) -> None:
            self.perform(body, given)

        parameters = [p for p in inspect.signature(body).parameters.values() if p.name != "stage"]
        test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
        test.__module__ = body.__module__
        test.__dict__.update(body.__dict__)  # the marks of pytest
        test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        setattr(test, _WHEN, when)
        return test

    return give


def remote(suite: type[ConnectorContract]) -> bool:
    """Whether the connector under test has a far end."""
    return suite.has_far_end()


def waiting(suite: type[ConnectorContract]) -> bool:
    """Whether the connector has an await at which it can be cancelled."""
    return suite.spec().form is not Form.SYNC


class ConnectorContract:
    """The base of the suites. A subclass whose name pytest collects names its ``connector``; all else has a default.

    Every case makes new connectors, and at its end no task, thread, socket or file of theirs may be left.
    """

    connector: ClassVar[Any] = None
    """The connector: its class or function."""
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Its settings, as a file would write them."""
    environment: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Environment variables for its settings, over those of the far end."""
    any_key: ClassVar[bool] = True
    """Whether the far end takes any key, so that the suite can give one that must be seen nowhere."""
    patience: ClassVar[float] = 5.0
    """Seconds that an answer, a failure or a cleanup may take."""
    real_time: ClassVar[bool] = False
    """Whether a connector without a far end needs real time and real threads all the same (a device)."""
    most_cancellations: ClassVar[int] = 40
    """At how many of an answer's suspensions it is cancelled, when it has more: that many, spread over them."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if cls.connector is None:
            return
        for name in dir(cls):
            when = getattr(getattr(cls, name, None), _WHEN, None)
            if when is not None and not when(cls):
                setattr(cls, name, None)  # pytest collects what can be called

    @classmethod
    def spec(cls) -> ConnectorSpec:
        """The connector's manifest."""
        return spec_of(cls.connector)

    @classmethod
    def has_far_end(cls) -> bool:
        """Whether the suite gives a far end."""
        return False

    def make_far_end(self) -> FarEnd | None:
        """The far end of one case, not started."""
        return None

    def stage(self, compute: Compute) -> Stage:
        """What a case plays on."""
        far = self.make_far_end()
        return Stage(self.spec(), self.settings, self.environment, compute, far, self.patience, any_key=self.any_key)

    def perform(self, body: Body, given: Mapping[str, Any]) -> None:
        """Run one case."""
        if type(self) not in _WARM:
            _WARM.add(type(self))
            # Some things are loaded and opened once a process, and stay: not what a connector leaves behind.
            with contextlib.suppress(Exception):
                self._run(type(self).exercise, {}, judged=False)
        self._run(body, given)

    async def exercise(self, stage: Stage) -> None:
        """Have the connector do what it does, once."""
        await stage.connector()

    def _run(self, body: Body, given: Mapping[str, Any], *, judged: bool = True) -> None:
        virtual = not (self.has_far_end() or self.real_time)
        compute: Compute = InlineCompute() if virtual else ThreadCompute(2)

        async def main() -> None:
            try:
                async with asyncio.timeout(None if virtual else _WHOLE_CASE), self.stage(compute) as stage:
                    stage.judged = judged
                    await body(self, stage, **given)
            finally:
                compute.close()

        if virtual:
            run_virtual(main())
        else:
            asyncio.run(main())

    # -- what holds for everybody --------------------------------------------------------------------------------

    def test_a_connector_of_the_network_is_tested_against_a_far_end(self) -> None:
        """Its failures are most of what there is to test."""
        spec = self.spec()
        assert not spec.network or self.has_far_end(), f"{spec.name} is network=True: give the suite its far_end()"

    def test_it_says_what_it_is(self) -> None:
        """The manifest has a description, a role, and a latency that can be."""
        spec = self.spec()
        assert spec.about.strip(), f"{spec.name} has no docstring: its first paragraph is its description everywhere"
        assert spec.latency.p50 <= spec.latency.p95
        assert not spec.packages or spec.extra, f"{spec.name} needs {', '.join(spec.packages)}: name the extra"

    def test_declaring_it_loads_no_vendor(self) -> None:
        """What it needs is imported when a session needs it: `echostack check` knows it without."""
        spec = self.spec()
        module = sys.modules[spec.make.__module__]
        if not spec.packages or module.__name__ == "__main__":
            return
        ask = (
            f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}; import {module.__name__}; "
            f"print([p for p in {list(spec.packages)!r} if p in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "[]", f"importing {module.__name__} loads {done.stdout.strip()}{done.stderr}"

    @case()
    async def test_settings_show_no_secret(self, stage: Stage) -> None:
        """Neither the settings nor the connector, printed, show a key."""
        rig = stage.make()
        stage.no_secret(f"{rig.settings!r} {rig.settings} {rig.target!r}", rig, "its settings")

    @case()
    async def test_it_closes_however_often_and_however_early(self, stage: Stage) -> None:
        """Before it was opened, and twice: a session closes what it made, whatever happened."""
        never = stage.make()
        await never.close()
        rig = await stage.connector()
        for _ in range(2):
            async with stage.clock.timeout(self.patience):
                await rig.close()

    @case()
    async def test_opening_and_closing_can_be_cancelled_anywhere(self, stage: Stage) -> None:
        """The caller may hang up while the call opens."""

        async def opened() -> None:
            async with stage.make():
                pass

        await opened()  # loads what is loaded once
        left = Left()
        for at in choice_of(await steps_of(opened()), self.most_cancellations):
            await cancelled_at(opened(), at, self.patience)
        await stage.close()
        await left.nothing(self.patience, "opening, cancelled,")

    @case(remote)
    async def test_it_opens_or_says_why_when_the_provider_is_not_there(self, stage: Stage) -> None:
        """No raw error of a socket or of the vendor's SDK reaches the session."""
        await stage.far_end.stop()
        rig = stage.make()
        try:
            async with stage.clock.timeout(self.patience):
                await rig.open()
        except EchoStackError as error:
            stage.judge(error, rig)

    # -- for the suites ------------------------------------------------------------------------------------------

    async def failure(self, stage: Stage, rig: Any, work: Coroutine[Any, Any, Any]) -> ConnectorFailure | None:
        """What ``work`` failed with, judged; None when it did not. AssertionError when it hangs."""
        try:
            async with stage.clock.timeout(self.patience):
                await work
        except TimeoutError as error:
            raise AssertionError(f"neither answered nor failed within {self.patience:g} s") from error
        except Exception as error:  # noqa: BLE001 - what it is is judged
            return stage.judge(error, rig)
        return None


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """The results of work that is done at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(w) for w in work]
    return [t.result() for t in tasks]
