"""Conformance: compare what this package assumes of Twilio with what an account shows.

``python -m airflow_provider_twilio_comms.conformance --help``
"""
