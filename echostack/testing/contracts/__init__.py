"""Contract suites: what every agent, recogniser, synthesiser and transport must do, as pytest classes to subclass.

See docs/contracts.md. A connector of one's own proves itself in a few lines::

    class TestAcme(AgentContract):
        connector = AcmeAgent

        def far_end(self, script: AgentScript) -> FarEnd:
            return AcmeServer(answers=script.answer)
"""

from echostack.testing.contracts.agent import AgentContract
from echostack.testing.contracts.base import ConnectorContract
from echostack.testing.contracts.far_end import AgentScript, FarEnd, Fault, FaultKind

__all__ = ["AgentContract", "AgentScript", "ConnectorContract", "FarEnd", "Fault", "FaultKind"]
