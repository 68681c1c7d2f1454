"""Copies of `.echo` files that hold no secret: a literal where a connector wants a secret is masked in place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from echostack.core.span import Source, Span
from echostack.graph.model import Graph
from echostack.language.data import EnvRef, Mapping_, Scalar, Sequence_, Value
from echostack.language.document import Document
from echostack.language.source import Places
from echostack.recording.format import MASK
from echostack.recording.secrets import WORTH_HIDING, Leaf, is_secret_name, leaves, without_secrets_in_comments
from echostack.recording.texts import redact_source

_HIDDEN = re.compile(r"[^\r\n]")


class Copier:
    """Copies the files of one graph. models: settings' models of connectors by name; secrets: what the call knows to
    be secret, masked wherever it stands. redact: take out the texts as well."""

    def __init__(
        self, graph: Graph, models: Mapping[str, type[BaseModel]], secrets: Iterable[str] = (), *, redact: bool = False
    ) -> None:
        self._models, self._redact = models, redact
        self._graph = graph
        declared = [leaf for document in graph.documents for leaf in self._leaves(document)]
        merged = [
            leaf
            for node in graph.nodes.values()
            if node.settings is not None
            for leaf in leaves(node.settings, models.get(node.use))
        ]
        hidden = [leaf.value for leaf in (*declared, *merged) if leaf.secret]
        names = {leaf.value.name for leaf in (*declared, *merged) if leaf.secret and isinstance(leaf.value, EnvRef)}
        given = [
            value
            for document in graph.documents
            for scenario in document.tests
            for name, value in scenario.env.items()
            if (name in names or is_secret_name(name)) and len(value) >= WORTH_HIDING
        ]
        self._secrets = (*secrets, *dict.fromkeys(given))
        self._given = tuple(dict.fromkeys(given))
        # An alias stands for what is written elsewhere, so the text itself is hidden wherever it is a setting.
        values = {v.value for v in hidden if isinstance(v, Scalar) and v.value is not None}
        values |= {v.default for v in hidden if isinstance(v, EnvRef) and v.default is not None}
        same = [leaf.value for leaf in declared if isinstance(leaf.value, Scalar) and leaf.value.value in values]
        self._spans: dict[str, dict[Span, str]] = {}
        for value in (*hidden, *same):
            self._spans.setdefault(value.span.file, {})[value.span] = _masked(value)

    def copy(self, document: Document) -> str:
        """The text of one file with its secrets masked; the same text when it has none."""
        source = document.source
        places = Places(source)
        text = source.text
        spans = self._spans.get(source.file, {})
        for span in sorted(spans, reverse=True):
            start = places.line_start(span.line) + span.column - 1
            end = places.line_start(span.end_line) + span.end_column - 1
            text = text[:start] + _fitting(text[start:end], spans[span]) + text[end:]
        text = without_secrets_in_comments(text)
        for secret in self._secrets:
            for written in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
                text = text.replace(written[1:-1], MASK)
            text = text.replace(secret, MASK)
        return redact_source(Source(source.file, text), self._named(document)) if self._redact else text

    def veiled(self, document: Document) -> str:
        """The text of one file with every character of a secret replaced by ``*``, so that all else keeps its place."""
        places = Places(document.source)
        text = document.source.text
        for span, mask in self._spans.get(document.source.file, {}).items():
            start = places.line_start(span.line) + span.column - 1
            end = places.line_start(span.end_line) + span.end_column - 1
            written = text[start:end]
            if mask.startswith("{env:") and "default" not in written:
                continue  # the name of a secret is none
            text = text[:start] + _HIDDEN.sub("*", written) + text[end:]
        for secret in self._given:
            text = text.replace(secret, "*" * len(secret))
        return without_secrets_in_comments(text)

    def _named(self, document: Document) -> dict[str, frozenset[str]]:
        """By connector, the settings whose text is one of a few names."""
        return {
            name: frozenset(x.path for x in leaves(declared.settings, self._models.get(declared.use)) if x.named)
            for name, declared in document.connectors.items()
        }

    def _leaves(self, document: Document) -> Iterator[Leaf]:
        """Everything that may be set in one file, used or not."""
        uses = {name: declared.use for name, declared in document.connectors.items()}
        for declared in document.connectors.values():
            yield from leaves(declared.settings, self._models.get(declared.use))
        for imported in document.imports.values():
            if imported.settings is not None:
                yield from self._of_nodes(imported.settings, uses)
        for playbook in document.playbooks.values():
            yield from self._of_nodes(playbook.settings, uses)

    def _of_nodes(self, settings: Mapping_, uses: Mapping[str, str]) -> Iterator[Leaf]:
        """Settings by node, each by the model of every node that goes by this name."""
        for name, value in settings.items.items():
            used = [n.use for n in self._graph.nodes.values() if n.id.rsplit("/", 1)[-1] == name]
            models = {self._models.get(use) for use in (*used, uses.get(name, name))}
            for model in sorted(models, key=str):
                yield from leaves(_within(value), model)


def _within(value: Value) -> Value:
    """A lone value as if it stood in a mapping, which is what settings are made of."""
    return value if isinstance(value, Mapping_ | Sequence_) else Mapping_({"": value}, {}, value.span)


def _masked(value: Scalar | EnvRef) -> str:
    return f"{{env: {value.name}}}" if isinstance(value, EnvRef) else f'"{MASK}"'


def _fitting(written: str, mask: str) -> str:
    """The mask with as many ends of line as it replaces, so that every other line keeps its number. They come after
    it: blank lines and the indentation of what follows mean nothing there."""
    if mask.startswith("{") and written.lstrip().startswith("{") and '"' in written:
        mask = json.dumps({"env": mask[6:-1]})  # a JSON file stays one
    return mask + "\n" * written.count("\n")
