"""From tree nodes to the Values of a Document, with the warnings that a value by itself can earn."""

from __future__ import annotations

import re
from typing import Final

from echostack.core.diagnostic import Diagnostic, Findings, did_you_mean
from echostack.language import codes
from echostack.language.data import EnvRef, Mapping_, Scalar, Sequence_, Value
from echostack.language.tree import MappingNode, Node, ScalarNode, SequenceNode
from echostack.language.yaml_tree import kind_of, shorten

ENV_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""The names that ``{env: NAME}`` takes, for the JSON Schema as well."""

OLD_BOOLEANS: Final = frozenset(
    word for base in ("yes", "no", "on", "off") for word in (base, base.capitalize(), base.upper())
)
_LOSES_DIGITS = re.compile(r"\+[0-9]+|-?0[0-9]+")
_SHELL = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


def to_value(node: Node, findings: Findings) -> Value | None:
    """``node`` as a Value. None, with findings, when it is a wrong ``{env: NAME}``; such parts of a collection are
    left out of it."""
    if node.broken:
        return None
    match node:
        case ScalarNode():
            _warn(node, findings)
            return Scalar(node.value, node.span)
        case SequenceNode():
            items = (to_value(i, findings) for i in node.items)
            return Sequence_(tuple(i for i in items if i is not None), node.span)
        case MappingNode():
            env = node.get("env")
            if isinstance(env, ScalarNode):
                return _env(node, env, findings)
            return mapping_of(node, findings)
        case _:
            raise TypeError(node)


def mapping_of(node: MappingNode, findings: Findings, *, without: frozenset[str] = frozenset()) -> Mapping_:
    """The mapping's entries as Values, save those under the keys ``without``."""
    items: dict[str, Value] = {}
    keys = {}
    for pair in node.pairs:
        if pair.key.text in without:
            continue
        value = to_value(pair.value, findings)
        if value is not None:
            items[pair.key.text] = value
            keys[pair.key.text] = pair.key.span
    return Mapping_(items, keys, node.span)


def _env(node: MappingNode, env: ScalarNode, findings: Findings) -> EnvRef | None:
    sound = True
    for pair in node.pairs:
        if pair.key.text not in ("env", "default"):
            close = did_you_mean(pair.key.text, ("default",))
            findings.add(
                Diagnostic(
                    codes.BAD_ENV,
                    f"`{shorten(pair.key.text)}` has no place in `{{env: NAME}}`",
                    pair.key.span,
                    help="write `default` for the value to take when the name is not set"
                    if close
                    else "keep `env`, and `default` if you need one",
                )
            )
            sound = False
    if not isinstance(env.value, str) or not re.match(ENV_NAME, env.value) or env.value.endswith("\n"):
        findings.add(
            Diagnostic(
                codes.BAD_ENV,
                f"`{shorten(env.text)}` is not the name of an environment variable",
                env.span,
                help="write a name such as `{env: DEEPGRAM_API_KEY}`, without `$`",
            )
        )
        sound = False
    default = node.get("default")
    if default is not None and not isinstance(default, ScalarNode):
        findings.add(
            Diagnostic(
                codes.BAD_ENV,
                f"a {kind_of(default)} cannot be the default of an environment variable",
                default.span,
                help="write a text, a number, true or false",
            )
        )
        sound = False
    if not sound:
        return None
    return EnvRef(env.text, node.span, default.value if isinstance(default, ScalarNode) else None)


def _warn(node: ScalarNode, findings: Findings) -> None:
    text = node.text
    if node.style == "" and text in OLD_BOOLEANS:
        meant = "true" if text.lower() in ("yes", "on") else "false"
        findings.add(
            Diagnostic(
                codes.OLD_BOOLEAN,
                f"`{text}` is the text {text!r} here, not {meant}",
                node.span,
                notes=("Since YAML 1.2 only true and false are truth values.",),
                help=f'write `{meant}`, or "{text}" in quotes to mean the word',
            )
        )
    elif node.style == "" and isinstance(node.value, int) and _LOSES_DIGITS.fullmatch(text):
        findings.add(
            Diagnostic(
                codes.LOST_DIGITS,
                f"`{shorten(text)}` is read as the number {shorten(str(node.value))}",
                node.span,
                help=f'quote it to keep every digit: "{shorten(text)}"',
            )
        )
    elif isinstance(node.value, str) and (found := _SHELL.fullmatch(text)):
        findings.add(
            Diagnostic(
                codes.SHELL_VARIABLE,
                f"`{shorten(text)}` is taken as it stands: text is never filled in",
                node.span,
                help=f"write `{{env: {found[1]}}}` to take the value from the environment",
            )
        )
