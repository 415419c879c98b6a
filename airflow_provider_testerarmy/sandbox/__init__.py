"""The sandbox: a local stand-in for both services' APIs, with scripted outcomes and faults."""
