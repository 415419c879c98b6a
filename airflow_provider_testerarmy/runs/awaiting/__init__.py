"""Waiting for runs: who waits for which runs, and which request to send when."""
