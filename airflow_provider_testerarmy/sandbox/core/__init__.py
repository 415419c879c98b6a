"""What both vendors' sandboxes stand on: time, faults, the log, and HTTP."""
