"""A local HTTPS server that answers as each vendor does, counts what it is asked, and knows when runs ended."""
