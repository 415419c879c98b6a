"""The vendors' HTTP APIs as typed operations; knows nothing of Airflow and nothing of the run domain."""
