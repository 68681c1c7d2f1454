"""Tests of echostack.simulation.expect."""
