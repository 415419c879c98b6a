"""Tests of the client: both senders over real sockets."""
