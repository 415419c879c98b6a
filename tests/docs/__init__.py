"""What the documentation says, tried: every block of code in it, its generated parts, its links."""
