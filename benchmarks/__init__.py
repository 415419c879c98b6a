"""What waiting for many runs costs: this provider's trigger beside those of other providers, by `make bench`."""
