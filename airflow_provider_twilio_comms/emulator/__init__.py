"""An emulator of Twilio for tests: a pure core (``twilio.py``), its server (``server.py``), an outbox page.

It is as strict as Twilio's documents, and never more forgiving. Nothing here reaches a network but the
loopback server, and nobody is texted.
"""
