"""The conformance suite: one lifecycle for both vendors and modes in a real Airflow, checked in the sandbox."""
