"""Twilio without Twilio: a pure core (``twilio.py``), a server around it (``server.py``), an outbox page.

As strict as Twilio's documents say, and never more forgiving. Nothing here reaches a network but the loopback
server, and nobody's phone rings.
"""
