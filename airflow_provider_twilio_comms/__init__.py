"""Apache Airflow provider for Twilio messaging."""

__version__ = "1.0.0"
