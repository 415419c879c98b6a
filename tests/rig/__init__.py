"""Runs a real Airflow as local processes, for tests, the demo and `make ui`."""
