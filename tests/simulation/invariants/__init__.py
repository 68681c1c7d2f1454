"""Tests of what no call may do."""
