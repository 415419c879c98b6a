"""Notifiers that send verdicts."""
