"""The chaos suite: a real Airflow on PostgreSQL in which things are killed while the sandbox keeps the score."""
