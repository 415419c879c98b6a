"""The triggers, one file per module."""
