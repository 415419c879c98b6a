"""The tab on test runs in Airflow's UI, and its data; imported in the API server alone."""
