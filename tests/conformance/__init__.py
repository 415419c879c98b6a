"""The conformance suite: one lifecycle for all vendors and both modes, in a real Airflow, judged by the sandbox."""
