"""Thirty nights of one DAG with a gate that remembers, on a real Airflow."""
