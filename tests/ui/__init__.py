"""The tab without an Airflow around it."""
