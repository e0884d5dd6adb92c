"""Profiles, the people stored in a memory store: memory.twilio.com, in beta."""
