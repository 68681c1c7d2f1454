"""The ``echostack`` command."""
