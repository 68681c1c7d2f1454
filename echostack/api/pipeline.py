"""A compiled file: shared by any number of concurrent calls, and itself an aiostream operator."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any

from echostack.api.loading import check
from echostack.core.diagnostic import Diagnostic
from echostack.core.errors import UsageError
from echostack.graph.model import Graph
from echostack.plan import Plan, lower
from echostack.recording import Recorder
from echostack.registry import Registry
from echostack.runtime import Session
from echostack.runtime.streams import called


class Pipeline:
    """What ``compile`` makes. Immutable: one pipeline serves many concurrent sessions, on one loop or several."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __repr__(self) -> str:
        return f"<Pipeline {self.plan.name or self.plan.hash[:8]}: {len(self.plan.nodes)} nodes>"

    @property
    def graph(self) -> Graph:
        return self.plan.checked.graph

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return self.plan.checked.warnings

    def session(self, *, record: str | os.PathLike[str] | Recorder | None = None, **options: Any) -> Session:
        """A call that is not yet open; enter it with ``async with``. For the options see ``Session``.

        record: the folder that the call is recorded into, made at once: UsageError when it cannot be used (it holds a
        recording already). A Recorder of one's own says more, such as what to leave out.
        """
        if record is None:
            return Session(self.plan, **options)
        recorder = record if isinstance(record, Recorder) else Recorder(record)
        try:
            return Session(self.plan, **{**options, "probes": (*options.get("probes", ()), recorder)})
        except BaseException:
            recorder.close()
            raise

    def pipe(self, output: str | tuple[str, ...], *, ingress: str = "", **options: Any) -> Callable[..., Any]:
        """This pipeline as an aiostream operator: ``frames | pipeline.pipe("egress.livekit.audio_chunk")``.

        The source feeds the transport ``ingress`` (the graph's only one by default); the items are the events that
        match ``output``. Leaving the stream ends the call.
        """
        transports = [n.source for n in self.plan.ingresses]
        if not ingress:
            if len(transports) != 1:
                has = ", ".join(transports) or "none"
                raise UsageError(f"name the ingress that the stream feeds: the graph has {has}")
            ingress = transports[0]

        def session(source: AsyncIterable[Any]) -> Session:
            return self.session(ingress={ingress: source}, **options)

        patterns = (output,) if isinstance(output, str) else tuple(output)
        made: Callable[..., Any] = called.pipe(session, patterns)
        return made


def compile(
    source: str | os.PathLike[str] | Graph,
    *,
    registry: Registry | None = None,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Pipeline:
    """Check a file, a text or a graph, and lower it to a plan that sessions can run.

    settings: ``{"node.key": value}`` laid over the file's. env: where ``{env: NAME}`` leaves are taken from (the
    process's environment when None). InvalidFile with every finding when the file has errors. A name that the
    environment lacks is an error of the session that needs it: a replaced transport needs none of its keys.
    """
    checked = check(source, registry=registry, settings=settings, env=env).raise_if_invalid()
    return Pipeline(lower(checked))
