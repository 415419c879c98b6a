"""The vendor-independent domain without I/O: runs, outcomes, the gate, and flows that start and await runs."""
