"""Event Streams: sinks, subscriptions and types of events. https://www.twilio.com/docs/events"""
