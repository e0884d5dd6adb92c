"""Measurements, not tests: ``python -m tests.bench`` prints a table and a line for machines each."""
