"""EchoStack: a text file becomes a running, interruptible, real-time voice automation.

``load``, ``check``, ``compile`` and what they return are all that an embedding program needs. They are imported
when they are first used, so that ``import echostack`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echostack.api import (
        Checked,
        Pipeline,
        Session,
        Stats,
        Subscription,
        broadcast,
        check,
        compile,
        default_registry,
        load,
        merge,
    )  # fmt: skip

__version__ = "0.1.0"
__all__ = [
    "Checked", "Pipeline", "Session", "Stats", "Subscription", "broadcast", "check", "compile", "default_registry",
    "load", "merge",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in __all__:
        from echostack import api

        return getattr(api, name)
    raise AttributeError(f"module 'echostack' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
