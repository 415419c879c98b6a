"""The sandbox's stand-in for TesterArmy's API."""
