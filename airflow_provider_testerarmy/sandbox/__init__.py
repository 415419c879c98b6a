"""A local service that answers like the vendors' APIs, with scripted outcomes and faults."""
