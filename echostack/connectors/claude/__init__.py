"""Claude on Anthropic's SDK."""
