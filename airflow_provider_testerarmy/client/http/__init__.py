"""What both APIs share: senders, retry, errors, operations as values."""
