"""Tests of the shipped folders, from every kind of installation."""
