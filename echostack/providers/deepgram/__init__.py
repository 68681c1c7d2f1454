"""A local server that speaks Deepgram's API."""
