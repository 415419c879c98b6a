"""Tests of the tab without a running Airflow."""
