"""The project's own lifecycle in a simulated world: virtual time, seeded order, faults between any two steps."""
