"""Tests of the project around the package: its requirements, its floors, its Makefile, its pages."""
