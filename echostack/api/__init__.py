"""What an embedding program imports: load, check, compile, and the sessions of a compiled pipeline."""
