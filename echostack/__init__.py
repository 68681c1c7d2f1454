"""EchoStack: a text file becomes a running, interruptible, real-time voice automation."""
