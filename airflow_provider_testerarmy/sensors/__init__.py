"""Sensors that wait for runs which something else has started, and judge them."""
