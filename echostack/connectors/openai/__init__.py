"""Models behind OpenAI's chat completions, on its SDK: OpenAI's own, and Llama where it runs."""
