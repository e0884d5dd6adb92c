"""Messaging services and their senders, ``https://messaging.twilio.com/v1``: form in, snake_case JSON out."""
