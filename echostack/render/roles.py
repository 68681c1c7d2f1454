"""Which part of a call a node plays: by the kinds of its connector when that is known, else by its name."""

from __future__ import annotations

from echostack.graph.model import Node, NodeRole
from echostack.registry import ConnectorSpec
from echostack.render.model import Part

_FIXED = {
    NodeRole.INGRESS: Part.INGRESS,
    NodeRole.EGRESS: Part.EGRESS,
    NodeRole.CHOICE: Part.CHOICE,
    NodeRole.PATTERN: Part.PATTERN,
    NodeRole.PLAYBOOK: Part.PLAYBOOK,
}
_BY_ROLE = {
    "stt": Part.RECOGNISER, "asr": Part.RECOGNISER, "vad": Part.VAD, "agent": Part.AGENT, "llm": Part.AGENT,
    "chat": Part.AGENT, "router": Part.ROUTER, "tts": Part.SYNTHESISER, "log": Part.LOG, "send": Part.EFFECT,
    "crm": Part.EFFECT, "webhook": Part.EFFECT, "request": Part.EFFECT, "write": Part.EFFECT, "say": Part.AGENT,
}  # fmt: skip


def part_of(node: Node, spec: ConnectorSpec | None) -> Part:
    """The part that ``node`` plays. Kinds decide before names, so a plugin's recogniser looks like one."""
    if node.role in _FIXED:
        return _FIXED[node.role]
    name = (spec.name if spec else node.use) or node.id
    named = _BY_ROLE.get(name.rpartition(".")[2], Part.STEP)
    if spec is None:
        return named
    consumed = {k.base for k in spec.consumed_kinds}
    produced = {k.base for k in spec.produced_kinds}
    if "speech_started" in produced:
        return Part.VAD
    if "text" in produced and any(k.audio for k in spec.consumed_kinds):
        return Part.RECOGNISER
    if "audio_chunk" in produced and not any(k.audio for k in spec.consumed_kinds):
        return Part.SYNTHESISER
    if "agent_message" in produced:
        return Part.AGENT
    if "intent" in produced or (spec.forwards and not spec.effect):
        return Part.ROUTER
    if named is Part.LOG or "transcript_entry" in produced or (consumed and not produced and not spec.effect):
        return Part.LOG
    if spec.effect or spec.network or "http_response" in produced:
        return Part.EFFECT
    return named if named in (Part.AGENT, Part.ROUTER) else Part.STEP
