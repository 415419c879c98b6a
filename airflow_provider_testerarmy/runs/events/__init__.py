"""Runs that ended as events: what to read of the service, and what each watcher has already reported."""
