"""The verdict on runs: the gate, the summary and the tests' titles."""
