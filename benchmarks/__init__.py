"""Measurements: ``make bench`` runs every script of this folder and prints medians and ratios (README.md there)."""
