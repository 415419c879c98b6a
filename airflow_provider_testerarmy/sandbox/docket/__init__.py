"""The sandbox's stand-in for Docket's API."""
