"""A local server that speaks ElevenLabs' API."""
