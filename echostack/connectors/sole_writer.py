"""Opening a file to write it anew, unless another call is writing it at this moment."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

BUSY = "another call is writing this file at this moment; name another file"


def open_anew(path: Path) -> int:
    """The number of ``path``, opened for writing, made or emptied, and locked until it is closed.

    OSError with the path and BUSY when somebody else holds the lock, whose file is then left as it is. What is no
    regular file (/dev/null) is shared; where the file system has no locks, there is none.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            _lock(handle, path)
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _lock(handle: int, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, BUSY, str(path)) from None
    except OSError:  # a network's file system may have none
        return
