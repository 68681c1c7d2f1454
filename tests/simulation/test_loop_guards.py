"""What virtual time cannot hold is refused where it is asked for, in words, and cannot be hidden."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

import echostack.api as echostack
from echostack.core.clock import InlineCompute, LoopClock, ThreadCompute
from echostack.core.errors import UsageError
from echostack.core.payloads import AgentMessage, Text
from echostack.registry import Registry, connector
from echostack.simulation.guards import NotVirtual
from echostack.simulation.loop import WALL, run_virtual

HERE = "tests/simulation/test_loop_guards.py"
NETWORK = (
    "the far end answers in real time, and time here is virtual; give the connector a simulation, or make the call "
    "on real time"
)
THREAD = "the clock would run away while it works; run it through the session's Compute (InlineCompute)"
PROCESS = "the clock would run away while it works; give the connector a simulation, or make the call on real time"
SLEEP = "it stops the whole call and moves no virtual time; await the session's clock.sleep()"
CLOCK = "real time is another one on each run; read the session's clock, now() for spans and wall() for dates"


def refusal(act: Callable[[], Any]) -> str:
    """What is said of ``act`` on virtual time, with N for the line."""

    async def main() -> None:
        done = act()
        if asyncio.iscoroutine(done):
            await done

    with pytest.raises(NotVirtual) as caught:
        run_virtual(main())
    return re.sub(r"\.py:\d+", ".py:N", str(caught.value).replace(str(Path.cwd()) + os.sep, ""))


@pytest.mark.parametrize(
    ("what", "why", "act"),
    [
        ("looking up the name '127.0.0.1'", NETWORK, lambda: socket.create_connection(("127.0.0.1", 9))),
        ("looking up the name 'example.org'", NETWORK, lambda: socket.gethostbyname("example.org")),
        ("starting the process 'true'", PROCESS, lambda: subprocess.run(["true"], check=False)),
        ("os.system()", PROCESS, lambda: os.system("true")),
        ("os.fork()", PROCESS, os.fork),
        ("starting the thread 'behind'", THREAD, lambda: threading.Thread(target=print, name="behind").start()),
        ("print() in a thread", THREAD, lambda: asyncio.to_thread(print, "there")),
        ("print() in a thread", THREAD, lambda: ThreadCompute(1).run(print, "there")),
        ("time.sleep(0.1)", SLEEP, lambda: time.sleep(0.1)),
        ("time.sleep(0.1)", SLEEP, lambda: sleep(0.1)),
        ("time.sleep(0.1)", SLEEP, lambda: InlineCompute().run(lambda: time.sleep(0.1))),
        ("time.time()", CLOCK, lambda: time.time()),
        ("time.monotonic()", CLOCK, lambda: monotonic()),
        ("time.perf_counter_ns()", CLOCK, lambda: time.perf_counter_ns()),
        ("time.localtime()", CLOCK, lambda: time.localtime()),
        ("time.strftime()", CLOCK, lambda: time.strftime("%Y")),
        ("loop.create_connection()", NETWORK, lambda: asyncio.open_connection("127.0.0.1", 9)),
        ("loop.create_server()", NETWORK, lambda: asyncio.start_server(print, "127.0.0.1", 0)),
        ("loop.add_reader()", NETWORK, lambda: asyncio.get_running_loop().add_reader(0, print)),
        ("loop.sock_connect()", NETWORK, lambda: asyncio.get_running_loop().sock_connect(None, "")),  # type: ignore
        (
            "loop.create_datagram_endpoint()", NETWORK,
            lambda: asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol),
        ),
        ("loop.subprocess_exec()", PROCESS, lambda: asyncio.create_subprocess_exec("true")),
    ],
)  # fmt: skip
def test_each_is_refused_with_what_from_where_and_what_to_do(what: str, why: str, act: Callable[[], Any]) -> None:
    assert refusal(act) == f"{HERE}:N: {what} cannot be done on virtual time: {why}"


def test_sockets_are_refused_whoever_made_them() -> None:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        for what, act in {
            "connecting a socket to ('127.0.0.1', 9)": lambda: stream.connect(("127.0.0.1", 9)),
            "binding a socket to ('127.0.0.1', 0)": lambda: stream.bind(("127.0.0.1", 0)),
            "sending to ('127.0.0.1', 9)": lambda: datagrams.sendto(b"x", ("127.0.0.1", 9)),
        }.items():
            assert refusal(act) == f"{HERE}:N: {what} cannot be done on virtual time: {NETWORK}"


def test_it_is_a_usage_error() -> None:
    assert issubclass(NotVirtual, UsageError)


def test_an_error_that_the_program_swallows_comes_out_at_the_end() -> None:
    ended: list[float] = []

    async def main() -> None:
        try:
            time.sleep(0.1)  # noqa: ASYNC251 - the mistake that is tested
        except Exception:  # noqa: BLE001 - likewise
            await asyncio.sleep(1)
        ended.append(asyncio.get_running_loop().time())

    with pytest.raises(NotVirtual, match=r"time\.sleep\(0\.1\) cannot be done"):
        run_virtual(main())
    assert ended == [1.0]


def test_a_connector_cannot_hide_it_behind_its_error_events() -> None:
    @connector("vendor.agent")
    def answer(text: Text) -> AgentMessage:
        time.sleep(0.1)
        return AgentMessage("too late")

    @connector("ingress.line")
    class Line:
        async def run(self) -> AsyncIterator[Text]:
            yield Text("hello")

    @connector("vendor.log")
    def log(message: AgentMessage) -> None: ...

    pipeline = echostack.compile(
        "echostack: 1\npipeline:\n  - ingress.line.text -> vendor.agent -> vendor.log\n",
        registry=Registry().add(answer, Line, log),
        env={},
    )
    ended: list[str] = []

    async def main() -> None:
        async with pipeline.session(compute=InlineCompute()) as call:
            await call.finished()
        ended.append("as a call does")

    with pytest.raises(NotVirtual) as caught:
        run_virtual(main())
    assert re.sub(r":\d+", ":N", str(caught.value)) == (
        f"{HERE}:N: time.sleep(0.1) cannot be done on virtual time: {SLEEP}"
    )
    assert ended == ["as a call does"]


def test_it_comes_before_the_error_that_came_of_it() -> None:
    async def main() -> None:
        try:
            socket.create_connection(("127.0.0.1", 9))
        except Exception as error:
            raise KeyError("no answer") from error

    with pytest.raises(NotVirtual, match="looking up the name") as caught:
        run_virtual(main())
    assert isinstance(caught.value.__cause__, KeyError)


def test_other_threads_and_the_time_between_runs_are_left_alone() -> None:
    seen: list[float] = []
    begin, done = threading.Event(), threading.Event()

    def work() -> None:
        begin.wait(5)
        time.sleep(0)
        seen.append(time.time())
        helper = threading.Thread(target=lambda: seen.append(time.monotonic()))
        helper.start()
        helper.join()
        done.set()

    thread = threading.Thread(target=work)
    thread.start()

    async def main() -> None:
        begin.set()
        assert done.wait(5)

    real = time.time, time.sleep, sleep
    run_virtual(main())
    thread.join()
    assert len(seen) == 2
    assert (time.time, time.sleep, sleep) == real
    assert time.time() > WALL
    time.sleep(0)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))


def test_real_time_goes_on_when_a_run_ends_badly() -> None:
    async def main() -> None:
        raise KeyboardInterrupt

    real = time.time
    with pytest.raises(KeyboardInterrupt):
        run_virtual(main())
    assert time.time is real


def test_an_interruption_from_the_keyboard_ends_every_task_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def hit() -> None:
        await asyncio.sleep(1)
        raise KeyboardInterrupt

    async def other() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            ended.append("other")

    async def main() -> None:
        tasks = asyncio.create_task(hit()), asyncio.create_task(other())
        try:
            await asyncio.sleep(100)
        finally:
            await tasks[0]

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main())
    gc.collect()
    assert ended == ["other"]
    assert caplog.records == []


async def test_a_loop_on_real_time_is_left_alone() -> None:
    await asyncio.to_thread(time.sleep, 0)
    assert time.time() > WALL


def test_models_may_time_themselves_in_inline_work() -> None:
    def model() -> float:
        return time.perf_counter() + time.time()

    async def main() -> float:
        return await InlineCompute().run(model)

    assert run_virtual(main()) > WALL


def test_installed_packages_and_the_standard_library_may_read_a_clock(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "vendor_sdk.py").write_text("import time\ndef stamp():\n    return time.time()\n")
    sys.path.insert(0, str(folder))
    try:

        async def main() -> float:
            import email.utils

            assert email.utils.formatdate()
            return importlib.import_module("vendor_sdk").stamp()  # type: ignore[no-any-return]

        assert run_virtual(main()) > WALL
    finally:
        sys.path.remove(str(folder))


def test_an_installed_package_that_sleeps_is_named_beside_its_caller(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "sleepy_sdk.py").write_text("import time\ndef fetch():\n    time.sleep(3)\n")
    sys.path.insert(0, str(folder))
    try:
        assert refusal(lambda: importlib.import_module("sleepy_sdk").fetch()) == (
            f"{HERE}:N (through sleepy_sdk): time.sleep(3) cannot be done on virtual time: {SLEEP}"
        )
    finally:
        sys.path.remove(str(folder))


def test_what_a_module_does_while_it_is_imported_is_no_part_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import socket, time\nfrom time import time as now\nSTARTED = time.time()\ntime.sleep(0)\n"
        "with socket.socket() as s:\n    s.bind(('127.0.0.1', 0))\ndef later():\n    return now()\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:

        async def main() -> Any:
            return importlib.import_module("slow_to_import")

        module = run_virtual(main())
        assert module.STARTED > WALL
        assert module.later() > WALL  # outside a run, the name that it imported inside of one tells real time
        assert refusal(module.later).endswith(
            f"slow_to_import.py:N: time.time() cannot be done on virtual time: {CLOCK}"
        )
    finally:
        sys.path.remove(str(tmp_path))


def test_files_are_allowed(tmp_path: Path) -> None:
    async def main() -> str:
        (tmp_path / "a").write_text("kept")
        return (tmp_path / "a").read_text()

    assert run_virtual(main()) == "kept"


def test_as_completed_of_coroutines_is_refused_and_of_tasks_in_order() -> None:
    async def one(k: int) -> int:
        await asyncio.sleep(0)
        return k

    async def unordered() -> None:
        coroutines = [one(k) for k in range(3)]
        try:
            for ready in asyncio.as_completed(coroutines):
                await ready
        finally:
            for coroutine in coroutines:
                coroutine.close()

    async def ordered() -> list[int]:
        loop = asyncio.get_running_loop()
        return [await ready for ready in asyncio.as_completed([loop.create_task(one(k)) for k in range(3)])]

    assert refusal(unordered) == (
        f"{HERE}:N: asyncio.as_completed() of coroutines cannot be done on virtual time: it starts them in the order "
        "of a set of addresses, another one on each run; give it tasks, made in order"
    )
    assert run_virtual(ordered()) == [0, 1, 2]


def test_the_wall_clock_is_virtual_too() -> None:
    async def main() -> list[float]:
        clock = LoopClock()
        walls = [clock.wall()]
        await clock.sleep(90.5)
        return [*walls, clock.wall()]

    assert run_virtual(main()) == [WALL, WALL + 90.5]
    assert run_virtual(main(), wall=1_700_000_000.0) == [1_700_000_000.0, 1_700_000_090.5]
