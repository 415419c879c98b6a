"""The command line: `airflow testerarmy …`, and `python -m airflow_provider_testerarmy …` on every Airflow."""
