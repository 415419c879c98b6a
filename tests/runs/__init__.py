"""Tests of the run domain: flows driven by scripted answers, and by a sandbox over a socket."""
