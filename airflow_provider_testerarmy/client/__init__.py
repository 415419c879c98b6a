"""The vendors' HTTP APIs as typed operations; imports neither Airflow nor ``runs/``."""
