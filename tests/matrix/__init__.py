"""The provider on every Airflow and Python that its users run: `make test-matrix`."""
