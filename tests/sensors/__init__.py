"""The sensors, one file per module."""
