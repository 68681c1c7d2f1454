"""The findings of the graph stage: names, aliases, choices and imports. Each is documented under docs/diagnostics/."""

from __future__ import annotations

from typing import Final

from echostack.core.diagnostic import Code

NO_SUCH_FORM: Final = Code("E0301", "an endpoint has none of the five forms")
WRONG_PLACE: Final = Code("E0302", "an endpoint stands where it cannot")
UNDECLARED: Final = Code("E0303", "a bare name is not declared")
STRAY_STAR: Final = Code("E0304", "a star outside an event pattern")
BAD_USE: Final = Code("E0305", "`use:` does not name a connector")
BAD_NAME: Final = Code("E0306", "a declared name cannot serve as one")
STRAY_PORT: Final = Code("E0307", "a port on an endpoint that has none")
BAD_MEMBER: Final = Code("E0308", "a choice has a member that cannot stand in it")
TWO_CHOICES: Final = Code("E0309", "a node is a member of two choices")
IMPORT_WITHOUT_PORT: Final = Code("E0311", "an import is used without naming a port of its interface")
UNKNOWN_INTERFACE_PORT: Final = Code("E0312", "an import has no such port")
NO_INTERFACE: Final = Code("E0313", "an imported file declares no interface")
BAD_INTERFACE: Final = Code("E0314", "an interface names a node that its file does not have")
IMPORT_NOT_FOUND: Final = Code("E0315", "an imported file is not there")
IMPORT_OUTSIDE: Final = Code("E0316", "an import leads out of the project's folder")
IMPORT_CYCLE: Final = Code("E0317", "files import each other")
IMPORT_DEPTH: Final = Code("E0318", "imports are nested too deeply")
TOO_LARGE: Final = Code("E0319", "the expanded graph is too large")
BAD_OVERRIDE: Final = Code("E0320", "an import overrides a node that its file does not have")
NAME_TAKEN: Final = Code("E0321", "one name stands for an import and for a connector")
IMPORT_SUFFIX: Final = Code("E0322", "an import is not a .echo or .json file")
REPEATED_MEMBER: Final = Code("E0323", "a choice names one member twice")
IMPORT_UNREADABLE: Final = Code("E0324", "an imported file cannot be read")
TESTED_NOT_FOUND: Final = Code("E0325", "the graph of a file of scenarios is not there")
TESTED_OUTSIDE: Final = Code("E0326", "a file of scenarios leads out of the project's folder")

CODES: Final[tuple[Code, ...]] = (
    NO_SUCH_FORM, WRONG_PLACE, UNDECLARED, STRAY_STAR, BAD_USE, BAD_NAME, STRAY_PORT, BAD_MEMBER, TWO_CHOICES,
    IMPORT_WITHOUT_PORT, UNKNOWN_INTERFACE_PORT, NO_INTERFACE, BAD_INTERFACE, IMPORT_NOT_FOUND, IMPORT_OUTSIDE,
    IMPORT_CYCLE, IMPORT_DEPTH, TOO_LARGE, BAD_OVERRIDE, NAME_TAKEN, IMPORT_SUFFIX, REPEATED_MEMBER,
    IMPORT_UNREADABLE, TESTED_NOT_FOUND, TESTED_OUTSIDE,
)  # fmt: skip
"""Every code of this stage, in order."""
