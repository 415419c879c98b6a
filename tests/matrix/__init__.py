"""The test matrix: the provider on every supported Airflow and Python (`make test-matrix`)."""
