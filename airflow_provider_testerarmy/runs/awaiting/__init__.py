"""Waiting for runs: who waits for what, what to ask next, and when."""
