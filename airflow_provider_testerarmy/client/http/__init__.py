"""The HTTP code that both APIs share: senders, retries, errors, and operations as values."""
