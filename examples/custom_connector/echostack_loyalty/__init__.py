"""A package of one connector for EchoStack, as a pattern for your own."""
