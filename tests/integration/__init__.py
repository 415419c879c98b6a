"""The provider in a real Airflow: scheduler, triggerer, API server and worker, against the sandbox."""
