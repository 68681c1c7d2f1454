"""What chat agents share: the words between them and their models, memory, tools, and speech made of text."""
