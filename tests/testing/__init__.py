"""Tests of echostack.testing: scenarios as tests, of the command, of pytest and of programs."""
