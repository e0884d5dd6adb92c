"""Stored profiles of the emulator: the Memory API."""
