"""Random kills, and a judge that knows only the service's log and Airflow's states."""
