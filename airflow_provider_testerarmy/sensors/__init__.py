"""What waits for runs that something else has started, and judges them."""
