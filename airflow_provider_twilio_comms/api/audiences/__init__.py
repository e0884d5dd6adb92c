"""Cohorts, the groups of stored people: audiences.twilio.com, in private beta."""
