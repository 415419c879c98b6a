"""Hints from real brokers. `make test-queues` installs the providers of Airflow that they need."""
