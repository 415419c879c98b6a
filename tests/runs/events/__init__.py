"""Tests of the events of ended runs."""
