"""What a connector is, how one is declared, and the value that holds all that a program knows."""

from echostack.registry.context import Context, Conversation, Forward, Inbox, Out, Turn
from echostack.registry.declare import connector, simulates
from echostack.registry.env import Env, EnvField, filled, open_fields, unset, variable_of
from echostack.registry.registry import Registry
from echostack.registry.simulated import ITSELF, Simulator, StandIn, Store, Write, stand_in
from echostack.registry.sink import AudioSink
from echostack.registry.spec import ConnectorSettings, ConnectorSpec, Form, Latency

__all__ = [
    "ITSELF", "AudioSink", "ConnectorSettings", "ConnectorSpec", "Context", "Conversation", "Env", "EnvField",
    "Form", "Forward", "Inbox", "Latency", "Out", "Registry", "Simulator", "StandIn", "Store", "Turn", "Write",
    "connector", "filled", "open_fields", "simulates", "stand_in", "unset", "variable_of",
]  # fmt: skip
