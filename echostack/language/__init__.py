"""A `.echo` file: its text, its spans, its arrows. From characters to a Document, and back in one canonical style."""
