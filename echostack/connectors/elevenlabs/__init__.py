"""ElevenLabs' speech by its websocket, or on its SDK."""
