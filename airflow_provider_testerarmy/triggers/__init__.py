"""What waits in the triggerer: one trigger for all vendors."""
