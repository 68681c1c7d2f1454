"""Documents become one graph: imports expanded, aliases resolved, every node with its provenance."""
