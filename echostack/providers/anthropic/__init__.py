"""A local server that speaks Anthropic's API."""
