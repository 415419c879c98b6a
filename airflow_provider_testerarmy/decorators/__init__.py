"""Decorators that make a function the source of a test request."""
