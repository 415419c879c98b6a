"""Tests as code: test files, the plan that brings a service to their state, and the lock of what is owned."""
