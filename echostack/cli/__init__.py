"""The ``echostack`` command.

This is the first module of the command to run, and what it imports takes a fifth of a second. A signal meanwhile ends
the process with the status of an interruption, where Python would show its traceback; the guard takes over from there.
"""

import os
import signal
import sys

if sys.argv and os.path.basename(sys.argv[0]).removesuffix(".exe") == "echostack":  # not where it is only imported
    for _number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(_number) not in (signal.SIG_IGN, None):
            signal.signal(_number, lambda number, frame: os._exit(130))
