"""Judging runs: the gate, the summary, the tests' titles."""
