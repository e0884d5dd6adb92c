"""A real Airflow and the emulator in a folder of their own: for the demo, for a look around, for tests."""
