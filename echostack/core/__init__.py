"""The words every other floor speaks: spans, diagnostics, events, kinds, audio formats, clocks and errors.

Nothing here knows a file format, a connector or a running call; the package reads in ten minutes.
"""
