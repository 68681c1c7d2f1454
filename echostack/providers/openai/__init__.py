"""A local server that speaks OpenAI's API, and one that does as Ollama does."""
