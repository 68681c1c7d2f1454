"""What stands around a connector passes on: what a guess must leave as it was, and that it was interrupted.

Its ``open`` and ``close`` are awaited as the runtime awaits them (``runtime.make``). What the connector does not have
is passed over.
"""

from __future__ import annotations

from typing import Any


def snapshot_of(target: Any) -> Any:
    """What ``target`` keeps, for ``restore_to``; None when it keeps nothing."""
    keeps = getattr(target, "snapshot", None)
    return keeps() if callable(keeps) else None


def restore_to(target: Any, snapshot: Any) -> None:
    """Have ``target`` keep again what it kept then."""
    gives_back = getattr(target, "restore", None)
    if callable(gives_back):
        gives_back(snapshot)


def tell_interrupted(target: Any) -> None:
    """Tell ``target`` of an interruption."""
    tell = getattr(target, "interrupted", None)
    if callable(tell):
        tell()
