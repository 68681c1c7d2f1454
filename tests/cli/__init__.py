"""The installed command, run as a program."""
