"""Keeping what an account holds as an author declared it: messages, numbers, services."""
