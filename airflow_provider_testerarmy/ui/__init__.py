"""The "Test runs" tab in Airflow's UI and its data endpoints. Only the API server imports this package."""
