"""The shape that arrow rules describe: immutable, every part with its span."""

from __future__ import annotations

from dataclasses import dataclass

from echostack.core.kinds import Overflow
from echostack.core.span import Span
from echostack.language.guard import Guard


@dataclass(frozen=True, slots=True)
class Ref:
    """An endpoint as written: ``path`` its dotted parts (``*`` included), ``port`` what follows the colon."""

    path: tuple[str, ...]
    port: str
    span: Span

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def __str__(self) -> str:
        return f"{self.name}:{self.port}" if self.port else self.name


@dataclass(frozen=True, slots=True)
class Choice:
    """``a ?? b ?? c``: the first that works. One member is the plain case."""

    members: tuple[Ref, ...]
    span: Span

    def __str__(self) -> str:
        return " ?? ".join(map(str, self.members))


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands between two arrows: one choice, or a group of them in parentheses (a fork or a merge)."""

    choices: tuple[Choice, ...]
    grouped: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Arrow:
    """``->``, or ``-[ guard ]->``."""

    guard: Guard | None
    span: Span


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """The YAML options of a rule of one arrow: the bound and policy of its queue, and ``cycle: true`` for a cycle
    on purpose."""

    queue: int | None = None
    overflow: Overflow | None = None
    cycle: bool = False
    queue_span: Span | None = None
    overflow_span: Span | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the pipeline: ``stages`` joined by one arrow fewer. ``text`` is the rule as written."""

    stages: tuple[Stage, ...]
    arrows: tuple[Arrow, ...]
    options: RuleOptions
    text: str
    span: Span
