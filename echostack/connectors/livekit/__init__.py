"""A LiveKit room as both ends of a call, on LiveKit's SDK."""
