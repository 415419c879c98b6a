"""A local HTTPS server that simulates each vendor's API, counts requests, and controls when runs end."""
