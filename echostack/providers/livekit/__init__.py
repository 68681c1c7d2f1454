"""A local LiveKit server on aiortc."""
