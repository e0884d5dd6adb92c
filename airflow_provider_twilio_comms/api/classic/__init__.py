"""The classic API, ``https://api.twilio.com/2010-04-01``: form in, snake_case JSON out."""
