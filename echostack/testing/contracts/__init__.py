"""Contract suites: what every agent, recogniser, synthesiser and transport must do, as pytest classes to subclass.

See docs/contracts.md. A connector of one's own proves itself in a few lines::

    class TestAcme(AgentContract):
        connector = AcmeAgent

        def far_end(self, script: AgentScript) -> FarEnd:
            return AcmeServer(script.answer)
"""

from echostack.testing.contracts.agent import AgentContract
from echostack.testing.contracts.base import ConnectorContract
from echostack.testing.contracts.far_end import (
    AgentScript,
    FarEnd,
    Fault,
    FaultKind,
    FaultList,
    RecogniserScript,
    Sightings,
    VoiceScript,
)
from echostack.testing.contracts.recogniser import RecogniserContract
from echostack.testing.contracts.synthesiser import SynthesiserContract
from echostack.testing.contracts.transport import EgressContract, IngressContract

__all__ = [
    "AgentContract", "AgentScript", "ConnectorContract", "EgressContract", "FarEnd", "Fault", "FaultKind", "FaultList",
    "IngressContract", "RecogniserContract", "RecogniserScript", "Sightings", "SynthesiserContract", "VoiceScript",
]  # fmt: skip
