"""One session running one plan: pushes inside islands, bounded queues between them, epochs over both."""
