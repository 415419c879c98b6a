"""The chaos suite: kills processes of a real Airflow on PostgreSQL, and checks the effects in the sandbox."""
