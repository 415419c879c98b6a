"""Starting runs exactly once, remembering them, and stopping them."""
