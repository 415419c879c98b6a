"""A real Airflow, run as local processes, for tests, the demo and `make ui`."""
