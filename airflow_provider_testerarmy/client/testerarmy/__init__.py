"""TesterArmy's API."""
