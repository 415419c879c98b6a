"""The domain, one for all vendors: runs, their outcomes, the gate, and what to do next; free of I/O."""
