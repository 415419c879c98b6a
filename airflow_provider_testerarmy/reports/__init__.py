"""Renders a task's results as documents. Pure functions, without network or file access."""
