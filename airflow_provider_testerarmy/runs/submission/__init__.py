"""Submitting runs exactly once, storing them in a record, and cancelling them."""
