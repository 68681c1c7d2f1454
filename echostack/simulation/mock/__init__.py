"""Simulations of connectors: one for every role, made from manifests, and what puts them into a plan."""
