"""What a user puts into a DAG to start runs: one base with the lifecycle, one small class per request."""
