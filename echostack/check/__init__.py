"""The graph is held against the registry: every finding at once, and a CheckedGraph when there is no error."""
