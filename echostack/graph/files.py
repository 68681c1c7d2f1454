"""Which file an import means, and that it may be read: inside the project's folder, or among the shipped graphs.

The project's folder is the nearest one, from the opened file upwards, that holds `pyproject.toml` or `.git`, else
the folder of the opened file itself. A path is looked for beside the importing file, then among the shipped graphs
(`graphs/<name>.echo`). Links are followed before the question is asked where a file lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final

from echostack.core.diagnostic import Diagnostic, Findings, at
from echostack.core.errors import InvalidFile, UsageError
from echostack.core.span import Provenance, Source
from echostack.graph.codes import IMPORT_NOT_FOUND, IMPORT_OUTSIDE, IMPORT_SUFFIX, IMPORT_UNREADABLE
from echostack.language import read_document, read_source
from echostack.language.document import Document
from echostack.language.source import decode_source
from echostack.resources import folder

MARKERS: Final = ("pyproject.toml", ".git")
SUFFIXES: Final = (".echo", ".json")
SHIPPED: Final = "graphs"


def project_root(file: str) -> Path:
    """The folder that the imports of ``file`` may not leave; ``file`` need not exist (text has a made-up name)."""
    start = Path(file).resolve().parent
    for candidate in (start, *start.parents):
        if any((candidate / marker).exists() for marker in MARKERS):
            return candidate
    return start


@dataclass(slots=True)
class Library:
    """The files of one build, each read once. ``root`` is resolved; ``findings`` takes what reading them finds."""

    root: Path
    findings: Findings
    documents: dict[str, Document | None] = field(default_factory=dict)  # by identity; None did not read

    def locate(self, path: str, importer: str, place: Provenance) -> tuple[str, Callable[[], Source]] | Diagnostic:
        """The identity of the file that ``path`` means in ``importer`` and how to read it, or why it may not be."""
        pure = PurePosixPath(path)
        if pure.suffix not in SUFFIXES:
            return at(
                IMPORT_SUFFIX,
                f"{path!r} is not an EchoStack file",
                place,
                help="an import names a file that ends in .echo or .json",
            )
        outside = at(
            IMPORT_OUTSIDE,
            f"{path!r} lies outside the project's folder",
            place,
            notes=("an import may read files in the project's folder and the shipped ones, and no others",),
            help="move the file into the project, and name it relative to the file that imports it",
        )
        if pure.is_absolute() or "\0" in path:
            return outside
        shipped = self._shipped(importer)
        if shipped is not None:
            return self._among_shipped(path, shipped, place, outside)
        beside = Path(importer).parent / path
        try:
            resolved = beside.resolve()
            if not resolved.is_relative_to(self.root):
                return outside
            if resolved.is_file():
                return str(resolved), lambda: read_source(beside)
            missing = not resolved.exists()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long: no such file, then
            missing = True
        if not missing:
            return at(IMPORT_NOT_FOUND, f"{path!r} is not a file", place, help="name the .echo file in it")
        if pure.parts[0] == SHIPPED:
            return self._among_shipped("/".join(pure.parts[1:]), "", place, outside, path)
        return self._not_found(path, place)

    def read(self, identity: str, source: Callable[[], Source], place: Provenance) -> Document | None:
        """The document under ``identity``; None when it has been found unreadable. Its findings are added once."""
        if identity not in self.documents:
            self.documents[identity] = None
            inside = Findings()
            try:
                text = source()
                inside.sources[text.file] = text
                self.documents[identity] = read_document(text, inside)
            except InvalidFile as error:
                inside.sources.update(error.sources)
                inside.items.extend(error.diagnostics)
            except (UsageError, OSError) as error:
                self.findings.add(at(IMPORT_UNREADABLE, f"an imported file cannot be read: {error}", place))
            self.findings.sources.update(inside.sources)
            for diagnostic in inside.items:
                self.findings.add(replace(diagnostic, via=(*diagnostic.via, place.span, *place.via)))
        return self.documents[identity]

    def _shipped(self, importer: str) -> str | None:
        """The folder, below the shipped graphs, of an importer that is itself a shipped graph; None for others."""
        marker = f"<shipped>/{SHIPPED}/"
        return str(PurePosixPath(importer.removeprefix(marker)).parent) if importer.startswith(marker) else None

    def _among_shipped(
        self, path: str, below: str, place: Provenance, outside: Diagnostic, shown: str = ""
    ) -> tuple[str, Callable[[], Source]] | Diagnostic:
        parts: list[str] = []
        for part in (*PurePosixPath(below).parts, *PurePosixPath(path).parts):
            if part == "..":
                if not parts:
                    return outside
                parts.pop()
            else:
                parts.append(part)
        file = _descend(parts)
        if file is None:
            return self._not_found(shown or path, place)
        name = f"<shipped>/{SHIPPED}/{'/'.join(parts)}"
        return name, lambda: decode_source(file.read_bytes(), name)

    def _not_found(self, path: str, place: Provenance) -> Diagnostic:
        known = ", ".join(shipped_graphs())
        return at(
            IMPORT_NOT_FOUND,
            f"there is no file {path!r}",
            place,
            notes=("it was looked for beside the file that imports it, and among the shipped graphs",),
            help=f"the shipped ones are {known}" if known else "",
        )


def shipped_graphs() -> tuple[str, ...]:
    """The shipped graphs as an import names them: ``graphs/speak.echo``."""
    try:
        found = sorted(entry.name for entry in folder(SHIPPED).iterdir() if entry.name.endswith(SUFFIXES[0]))
    except FileNotFoundError:
        return ()
    return tuple(f"{SHIPPED}/{name}" for name in found)


def _descend(parts: list[str]) -> Traversable | None:
    try:
        file = folder(SHIPPED)
    except FileNotFoundError:
        return None
    for part in parts:
        file = file / part
    return file if parts and file.is_file() else None
