"""What findings may quote: the files as they were read, with every secret in them covered."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from echostack.core.errors import InvalidConnector
from echostack.core.span import Source
from echostack.graph.model import Graph
from echostack.recording.copies import Copier
from echostack.recording.secrets import without_named_secrets
from echostack.registry import Registry


def veiled(sources: Mapping[str, Source], graph: Graph | None, registry: Registry) -> dict[str, Source]:
    """``sources`` with secrets covered by as many ``*``, so that every place in them stays where it is.

    A literal is a secret where its connector wants one; in a file of which no graph could be made, where it is called
    like one.
    """
    if graph is None:
        return {file: Source(file, without_named_secrets(source.text)) for file, source in sources.items()}
    copier = Copier(graph, _models(graph, registry))
    known = {document.source.file: copier.veiled(document) for document in graph.documents}
    # A part that could not be read is in no document, so names are looked at everywhere.
    return {file: Source(file, without_named_secrets(known.get(file, source.text))) for file, source in sources.items()}


def _models(graph: Graph, registry: Registry) -> dict[str, type[BaseModel]]:
    uses = {declared.use for document in graph.documents for declared in document.connectors.values()}
    uses |= {node.use for node in graph.nodes.values() if node.use}
    found: dict[str, type[BaseModel]] = {}
    for use in sorted(uses):
        try:
            spec = registry.get(use)
        except InvalidConnector:  # the finding about it is made elsewhere
            continue
        if spec is not None:
            found[use] = spec.settings
    return found
