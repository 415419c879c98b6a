"""Operators that start test runs: one base with the whole lifecycle, one small class per kind of request."""
