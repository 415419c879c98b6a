"""Shared by both vendors' sandboxes: the clock, faults, the request log, and HTTP helpers."""
