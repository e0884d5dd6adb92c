"""Consent and frequency caps for the tasks that send."""
