"""Data files that connectors read."""
