"""From an Airflow connection to a client, and each vendor's adapter to the service port."""
