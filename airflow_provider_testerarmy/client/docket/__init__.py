"""Docket's API."""
