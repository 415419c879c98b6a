"""Hooks, which turn an Airflow connection into a client, and the vendors' adapters to the service port."""
