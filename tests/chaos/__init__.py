"""Never twice, never lost, while a real Airflow and the emulator are broken: ``python -m tests.chaos``."""
