"""Scenarios of `.echo` files as tests: of the command ``echostack test``, of pytest, and of a program's own tests.

``simulate`` and ``scenarios`` are for a program's own tests; pytest collects `.echo` files by itself. Importing this
package loads nothing else: pytest imports it in every project that EchoStack is installed beside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echostack.testing.embedding import explain, scenarios, simulate

__all__ = ["explain", "scenarios", "simulate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from echostack.testing import embedding

        return getattr(embedding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
