"""`make bench`: measures the cost of waiting for many runs, for this provider's trigger and those of others."""
