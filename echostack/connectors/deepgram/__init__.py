"""Deepgram's live recognition on its SDK."""
