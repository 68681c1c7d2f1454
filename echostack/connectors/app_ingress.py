"""``ingress.app``: the caller comes from the program that embeds the graph."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import Field

from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame, Data, Dtmf, Text
from echostack.registry import ConnectorSettings, connector


class AppIngressSettings(ConnectorSettings):
    """What the program sends."""

    rate: int = Field(16_000, ge=8_000, le=192_000)
    """The rate of raw PCM bytes, in Hz. Frames that say their own rate may differ."""


@connector("ingress.app", output_format=lambda settings: AudioFormat(settings.rate))
class AppIngress:
    """The caller comes from the program that embeds the graph: ``pipeline.session(ingress={"app": frames})``.

    The program's async iterable gives ``AudioFrame``, ``Text``, ``Dtmf`` or ``Data`` payloads, or int16 mono PCM as
    bytes at ``rate``. Run from the command line, where no program feeds it, it raises ConnectorFailure.

    Simulated: by the scenario's caller.
    """

    def __init__(self, settings: AppIngressSettings) -> None:
        self._settings = settings

    async def run(self) -> AsyncIterator[AudioFrame | Text | Dtmf | Data]:
        raise ConnectorFailure(
            "ingress.app is fed by the program that embeds the graph, pipeline.session(ingress={'app': frames}); "
            "from the command line use ingress.file or ingress.mic",
            retryable=False,
        )
        yield  # an async generator, as every ingress
