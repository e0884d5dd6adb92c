"""Apache Airflow provider for Twilio messaging."""

__version__ = "0.1.0"
