"""A demo, and a stack for tests: a real Airflow and the emulator in a folder of their own."""
