"""The Communications API (Bulk Messaging): https://www.twilio.com/docs/bulk-messaging."""
