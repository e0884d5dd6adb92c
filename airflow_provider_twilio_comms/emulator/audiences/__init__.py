"""Cohorts of the emulator: the Cohorts API."""
